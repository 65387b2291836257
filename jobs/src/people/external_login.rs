//! Signs people in with an external account, at Google or GitHub, by the OAuth authorization code
//! flow with state and PKCE.
//!
//! An [`crate::providers::AuthorizationRequest`] starts in a browser, which keeps it in a cookie.
//! [`identify`] asks the provider who came back. [`find_or_link_user`] finds that person here.

mod find_or_link_user;
mod identity;
mod store;

use std::time::Duration;

use secrecy::SecretString;

use crate::providers::{Class, Failure, Provider, ProviderError, Providers};

pub use self::{
    find_or_link_user::{LinkError, find_or_link_user},
    identity::ExternalIdentity,
};

/// The total time for all calls to the provider during one sign-in, because a browser is waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// The reasons for which a provider did not identify somebody.
#[derive(Debug, thiserror::Error)]
pub enum ExternalLoginError {
    /// Sign-in with this provider is not configured.
    #[error("signing in with this provider is not set up")]
    NotOffered,
    /// The person has no verified address at the provider, which the provider requires for signing
    /// in.
    #[error("the provider verified no address of the person")]
    Unverified,
    /// The provider refused, or its response cannot be used.
    #[error("the provider did not identify the person")]
    Provider(#[source] ProviderError),
}

impl From<ProviderError> for ExternalLoginError {
    fn from(error: ProviderError) -> Self {
        if error.class() == Class::Permission { Self::Unverified } else { Self::Provider(error) }
    }
}

/// Asks a provider whom an authorization code stands for. A code works once, with the verifier of
/// its [`crate::providers::AuthorizationRequest`]. Returns within ten seconds.
pub async fn identify(
    providers: &Providers,
    provider: Provider,
    code: &SecretString,
    verifier: &SecretString,
) -> Result<ExternalIdentity, ExternalLoginError> {
    let (oauth, sign_in) = providers.signing_in(provider).ok_or(ExternalLoginError::NotOffered)?;
    let asked = async {
        let token = oauth.exchange(code, Some(verifier)).await?;
        sign_in.profile(&token.secret).await
    };
    let slow = || ProviderError { provider, account_id: None, failure: Failure::Slow };
    let profile = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(slow()))?;
    ExternalIdentity::new(provider, profile).ok_or_else(|| {
        let failure = Failure::UnexpectedResponse { status: 200, wait: None };
        ExternalLoginError::Provider(ProviderError { provider, account_id: None, failure })
    })
}
