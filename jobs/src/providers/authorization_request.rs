//! What one login at a provider is known by, which belongs to one browser.

use secrecy::{ExposeSecret as _, SecretString};

use crate::secrets::random_token;

/// A login as it begins. The browser keeps the verifier in a cookie, so that nobody can have another browser end it.
#[derive(Debug)]
pub struct AuthorizationRequest {
    /// Goes to the provider and comes back.
    pub state: String,
    /// Goes to a provider that takes PKCE as a hash first, and as it is with the code.
    pub verifier: SecretString,
}

impl AuthorizationRequest {
    /// A new one.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default request would not be a new one")]
    pub fn new() -> Self {
        Self { state: random_token(), verifier: random_token().into() }
    }

    /// What the cookie holds of somebody who signs in: we keep nothing of it.
    #[must_use]
    pub fn cookie(&self) -> String {
        format!("{}.{}", self.state, self.verifier.expose_secret())
    }

    /// The request that a cookie holds, if it is the one that came back with `state`; answers its verifier.
    #[must_use]
    pub fn verifier(cookie: &str, state: &str) -> Option<SecretString> {
        let (kept, verifier) = cookie.split_once('.')?;
        (!state.is_empty() && kept == state).then(|| verifier.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_answers_to_its_own_state_only() {
        let (request, other) = (AuthorizationRequest::new(), AuthorizationRequest::new());
        let verifier = AuthorizationRequest::verifier(&request.cookie(), &request.state).expect("its own");
        assert_eq!(verifier.expose_secret(), request.verifier.expose_secret());
        assert!(AuthorizationRequest::verifier(&request.cookie(), &other.state).is_none());
        for (cookie, state) in [("", ""), (".verifier", ""), ("state", "state"), (&request.cookie(), "")] {
            assert!(AuthorizationRequest::verifier(cookie, state).is_none(), "{cookie} {state}");
        }
    }
}
