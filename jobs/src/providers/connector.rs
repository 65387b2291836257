//! The interface for connecting accounts at a provider, after somebody logged in there or gave us a
//! key.

use std::fmt;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::{ProviderError, Token};

/// A pending call of a provider.
pub type Call<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

/// Connects accounts at a provider. People log in there through its [`super::OauthClient`].
pub trait Connector: fmt::Debug + Send + Sync {
    /// Exchanges a valid token for one with a fresh life.
    ///
    /// Errors: class `Reauth` if the token is dead.
    fn refresh<'a>(&'a self, token: &'a SecretString) -> Call<'a, Token>;

    /// Checks that a token is valid, and returns the provider's id of its person.
    ///
    /// Errors: class `Reauth` if the token is dead.
    fn check<'a>(&'a self, token: &'a SecretString) -> Call<'a, String>;

    /// Returns the accounts that a token opens.
    fn discover<'a>(&'a self, token: &'a SecretString) -> Call<'a, Found>;

    /// Revokes everything that the person granted us, which ends all tokens of the person for our
    /// app.
    ///
    /// Errors: class `Reauth` if the token is dead, so that nothing is left to revoke.
    fn revoke<'a>(&'a self, token: &'a SecretString) -> Call<'a, ()>;
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
