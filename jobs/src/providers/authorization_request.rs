//! One login at a provider, bound to one browser.

use secrecy::{ExposeSecret as _, SecretString};

use crate::secrets::random_token;

/// The secrets of a login that begins. The browser keeps the verifier in a cookie, so that nobody
/// can make another browser complete the login.
#[derive(Debug)]
pub struct AuthorizationRequest {
    /// The state, which goes to the provider and comes back.
    pub state: String,
    /// The verifier. A provider with PKCE gets its hash first, and the verifier itself with the
    /// code.
    pub verifier: SecretString,
}

impl AuthorizationRequest {
    /// Returns a new request.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default request would not be a new one")]
    pub fn new() -> Self {
        Self { state: random_token(), verifier: random_token().into() }
    }

    /// Returns the cookie for a person who signs in. We store nothing of it.
    #[must_use]
    pub fn cookie(&self) -> String {
        format!("{}.{}", self.state, self.verifier.expose_secret())
    }

    /// Returns the verifier in a cookie, if the cookie belongs to the request that came back with
    /// `state`.
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
