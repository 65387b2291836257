//! The interface for connecting accounts at a provider, after somebody logged in there or gave us a
//! key.

use std::fmt;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::{ProviderError, Token};

/// A pending call of a provider.
pub type Call<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

/// Connects accounts at a provider. People log in there through its [`super::OauthClient`].
pub trait Connector: fmt::Debug + Send + Sync {
    /// Exchanges a token for one with a fresh life: the refresh token if there is one, else the
    /// token itself, which must still be valid.
    ///
    /// Errors: class `Reauth` if the grant is dead, class `Config` if our app is refused.
    fn refresh<'a>(&'a self, token: &'a Token) -> Call<'a, Token>;

    /// Checks that a token is valid, and returns the provider's id of its person.
    ///
    /// Errors: class `Reauth` if the token is dead.
    fn check<'a>(&'a self, token: &'a SecretString) -> Call<'a, String>;

    /// Returns the permissions that a person is asked for.
    fn scopes(&self) -> Vec<&str>;

    /// Returns what the provider says about a token, or `None` if it only tells that it is valid.
    ///
    /// Errors: class `Reauth` if the token is dead.
    fn inspect<'a>(&'a self, token: &'a SecretString) -> Call<'a, Option<Inspection>> {
        Box::pin(async move { self.check(token).await.map(|_| None) })
    }

    /// Returns the accounts that a token opens.
    fn discover<'a>(&'a self, token: &'a SecretString) -> Call<'a, Found>;

    /// Returns true if the provider has a call that revokes. Otherwise the person has to do it there.
    fn revokes(&self) -> bool {
        true
    }

    /// Revokes everything that the person granted us, which ends all tokens of the person for our
    /// app.
    ///
    /// Errors: class `Reauth` if the token is dead, so that nothing is left to revoke.
    fn revoke<'a>(&'a self, token: &'a SecretString) -> Call<'a, ()>;
}

/// A provider's description of a token.
#[derive(Debug)]
pub struct Inspection {
    /// The end of the token; `None` is never.
    pub expires_at: Option<DateTime<Utc>>,
    /// The time at which the person has to agree again; `None` is never.
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// The permissions that the person grants now.
    pub scopes: Vec<String>,
}

/// The accounts that a token opens.
#[derive(Debug)]
pub struct Found {
    /// The provider's id of the person behind the token.
    pub person_id: String,
    /// The permissions that the person granted, which may be fewer than requested.
    pub granted: Vec<String>,
    /// The permissions that publishing or reading back needs and the person did not grant.
    pub missing: Vec<&'static str>,
    /// The usable accounts.
    pub accounts: Vec<FoundAccount>,
    /// The names of the listed accounts that cannot be used.
    pub left_out: Vec<String>,
}

/// An account that a token opens.
#[derive(Debug)]
pub struct FoundAccount {
    /// The provider's id of the account.
    pub remote_id: String,
    /// Its name.
    pub name: String,
    /// The account's own token; without one, the person's token is used.
    pub token: Option<SecretString>,
}
