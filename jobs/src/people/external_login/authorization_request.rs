//! An attempt to sign in elsewhere, which belongs to one browser.

use secrecy::{ExposeSecret as _, SecretString};

use crate::secrets::random_token;

/// An attempt as it begins. The browser keeps it in a cookie, so that nobody can have another browser end it.
#[derive(Debug)]
pub struct AuthorizationRequest {
    /// Goes to the provider and comes back.
    pub(super) state: String,
    /// Goes to the provider as a hash first, and as it is with the code.
    pub(super) verifier: SecretString,
}

impl AuthorizationRequest {
    /// A new attempt.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default attempt would not be a new one")]
    pub fn new() -> Self {
        Self { state: random_token(), verifier: random_token().into() }
    }

    /// What the cookie holds.
    #[must_use]
    pub fn cookie(&self) -> String {
        format!("{}.{}", self.state, self.verifier.expose_secret())
    }

    /// The attempt that a cookie holds, if it is the one that came back with `state`; answers its verifier.
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
        let (attempt, other) = (AuthorizationRequest::new(), AuthorizationRequest::new());
        let verifier = AuthorizationRequest::verifier(&attempt.cookie(), &attempt.state).expect("its own");
        assert_eq!(verifier.expose_secret(), attempt.verifier.expose_secret());
        assert!(AuthorizationRequest::verifier(&attempt.cookie(), &other.state).is_none());
        for (cookie, state) in [("", ""), (".verifier", ""), ("state", "state"), (&attempt.cookie(), "")] {
            assert!(AuthorizationRequest::verifier(cookie, state).is_none(), "{cookie} {state}");
        }
    }
}
