//! What goes wrong between us and a provider.

use serde::Deserialize;

/// The longest word of a refusal that is repeated.
const LONGEST_WORD: usize = 40;

/// Why a provider did not say who somebody is. Contains no code and no token.
#[derive(Debug, thiserror::Error)]
pub enum ExternalLoginError {
    /// Nobody can sign in there.
    #[error("signing in there is not set up")]
    NotOffered,
    /// No connection.
    #[error("could not connect to the provider")]
    Unreachable(#[source] reqwest::Error),
    /// No whole answer came.
    #[error("no answer from the provider")]
    NoAnswer(#[source] reqwest::Error),
    /// All calls together took too long.
    #[error("the provider was too slow")]
    Slow,
    /// An answer that the provider does not document.
    #[error("an unexpected response from the provider: status {status}")]
    UnexpectedResponse {
        /// The HTTP status.
        status: u16,
    },
    /// The provider refused.
    #[error("the provider refused: {word}")]
    Refused {
        /// Its word for that, such as `invalid_grant`.
        word: String,
    },
    /// The provider lets nobody sign in elsewhere who has not verified an address there.
    #[error("the provider has no verified address")]
    Unverified,
}

/// What both answer where they refuse; GitHub does so with status 200.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl ExternalLoginError {
    pub(super) fn from_reqwest(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    /// What an answer refuses, if it does.
    pub(super) fn of(status: u16, body: &[u8]) -> Option<Self> {
        match serde_json::from_slice::<Refusal>(body) {
            Ok(Refusal { error }) if error == "unverified_user_email" => Some(Self::Unverified),
            Ok(Refusal { error }) if status < 500 => Some(Self::Refused { word: word(error) }),
            Ok(_) | Err(_) if (200..300).contains(&status) => None,
            Ok(_) | Err(_) => Some(Self::UnexpectedResponse { status }),
        }
    }
}

/// Words of the protocol are repeated, and nothing else: whatever stands there instead may hold what we sent.
fn word(error: String) -> String {
    let is_word = error.len() <= LONGEST_WORD && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { error } else { "(not a word of the protocol)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> Option<String> {
        ExternalLoginError::of(status, body.as_bytes()).map(|error| error.to_string())
    }

    #[test]
    fn a_refusal_is_one_whatever_its_status() {
        for status in [200, 400, 401] {
            let said = said(status, r#"{"error": "bad_verification_code"}"#);
            assert_eq!(said.as_deref(), Some("the provider refused: bad_verification_code"));
        }
        let unverified = ExternalLoginError::of(200, br#"{"error": "unverified_user_email"}"#);
        assert!(matches!(unverified, Some(ExternalLoginError::Unverified)));
        assert_eq!(said(200, r#"{"access_token": "ya29.x"}"#), None);
    }

    #[test]
    fn what_is_unexpected_says_its_status_and_repeats_nothing() {
        assert_eq!(said(302, "<html>").as_deref(), Some("an unexpected response from the provider: status 302"));
        assert_eq!(
            said(503, r#"{"error": "oops"}"#).as_deref(),
            Some("an unexpected response from the provider: status 503")
        );
        for error in ["code 4/0AbCdEf", "gho_16C7e42F292c6912E7710c838347Ae178B4a", &"a".repeat(41)] {
            let said = said(400, &format!(r#"{{"error": "{error}"}}"#)).unwrap();
            assert_eq!(said, "the provider refused: (not a word of the protocol)");
        }
    }
}
