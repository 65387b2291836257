//! How people sign in with an account at a provider.

use std::fmt;

use secrecy::SecretString;

use super::Call;

/// How people sign in with an account at a provider. How they log in there is its [`super::OauthClient`].
pub trait SignIn: fmt::Debug + Send + Sync {
    /// Asks who the person behind a token is.
    fn profile<'a>(&'a self, token: &'a SecretString) -> Call<'a, Profile>;
}

/// A person as a provider knows them, in its own words.
#[derive(Debug, Default)]
pub struct Profile {
    /// What it calls the person for good.
    pub subject: String,
    /// The person's address, if the provider verified it.
    pub email: Option<String>,
    /// The whole name.
    pub name: Option<String>,
    /// The first name, where it is told apart.
    pub first_name: Option<String>,
    /// The last name, where it is told apart.
    pub last_name: Option<String>,
    /// The address of a picture.
    pub picture_url: Option<String>,
}
