//! How accounts at a provider are connected, once somebody logged in there or gave us a key.

use std::fmt;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::{ProviderError, Token};

/// A call of a provider that is on its way.
pub type Call<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

/// How accounts at a provider are connected. How people log in there is its [`super::OauthClient`].
pub trait Connector: fmt::Debug + Send + Sync {
    /// Exchanges a living token for one with a fresh life.
    ///
    /// Errors: class `Reauth` when the token has died.
    fn refresh<'a>(&'a self, token: &'a SecretString) -> Call<'a, Token>;

    /// Checks that a token lives; answers the provider's id of the person behind it.
    ///
    /// Errors: class `Reauth` when the token has died.
    fn check<'a>(&'a self, token: &'a SecretString) -> Call<'a, String>;

    /// Looks for what a token opens.
    fn discover<'a>(&'a self, token: &'a SecretString) -> Call<'a, Found>;

    /// Takes back everything that the person granted us, which ends all tokens of the person for our app.
    ///
    /// Errors: class `Reauth` when the token has died, so that nothing is left to take back.
    fn revoke<'a>(&'a self, token: &'a SecretString) -> Call<'a, ()>;
}

/// What a token opens.
#[derive(Debug)]
pub struct Found {
    /// The provider's id of the person behind the token.
    pub person_id: String,
    /// What the person allowed, which may be less than was asked for.
    pub granted: Vec<String>,
    /// What publishing or reading back needs and the person did not allow.
    pub missing: Vec<&'static str>,
    /// What can be used.
    pub accounts: Vec<FoundAccount>,
    /// What was listed and cannot be used, by name.
    pub left_out: Vec<String>,
}

/// An account that a token opens.
#[derive(Debug)]
pub struct FoundAccount {
    /// The provider's id of it.
    pub remote_id: String,
    /// Its name.
    pub name: String,
    /// Its own token; without one it is used with the person's.
    pub token: Option<SecretString>,
}
