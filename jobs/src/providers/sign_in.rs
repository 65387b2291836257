//! The interface for signing in with an account at a provider.

use std::fmt;

use secrecy::SecretString;

use super::Call;

/// Signs people in with an account at a provider. They log in there through its
/// [`super::OauthClient`].
pub trait SignIn: fmt::Debug + Send + Sync {
    /// Returns the profile of the person behind a token.
    fn profile<'a>(&'a self, token: &'a SecretString) -> Call<'a, Profile>;
}

/// A person's profile as the provider describes it.
#[derive(Debug, Default)]
pub struct Profile {
    /// The provider's permanent id for the person.
    pub subject: String,
    /// The person's address, if the provider verified it.
    pub email: Option<String>,
    /// The whole name.
    pub name: Option<String>,
    /// The first name, if the provider separates it.
    pub first_name: Option<String>,
    /// The last name, if the provider separates it.
    pub last_name: Option<String>,
    /// The address of a picture.
    pub picture_url: Option<String>,
}
