//! Signing in with an account elsewhere: at Google or GitHub, by the authorization code flow with state and PKCE.
//!
//! An [`crate::providers::AuthorizationRequest`] begins in a browser, which keeps it in a cookie; [`identify`] asks the provider who came back,
//! and [`find_or_link_user`] finds out which person that is here.

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

/// How long all calls of one person may take together: a browser waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a provider did not say who somebody is.
#[derive(Debug, thiserror::Error)]
pub enum ExternalLoginError {
    /// Nobody can sign in there.
    #[error("signing in there is not set up")]
    NotOffered,
    /// The provider lets nobody sign in elsewhere who has not verified an address there.
    #[error("the provider has no verified address")]
    Unverified,
    /// The provider refused, or said nothing that can be used.
    #[error("the provider did not say who that is")]
    Provider(#[source] ProviderError),
}

impl From<ProviderError> for ExternalLoginError {
    fn from(error: ProviderError) -> Self {
        if error.class() == Class::Permission { Self::Unverified } else { Self::Provider(error) }
    }
}

/// Asks a provider who a code stands for, which works once, with the verifier of its [`crate::providers::AuthorizationRequest`].
///
/// # Errors
/// [`ExternalLoginError`], within ten seconds.
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
