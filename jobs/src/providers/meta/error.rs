//! What Meta's errors mean. Codes are compared as integers, never by the text around them.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    engine::{Cause, JobError, Parked, SendError},
    ids::AccountId,
    providers::redact::redact,
};

/// What kind of refusal it is. Source: Graph API error codes, Pages and Login documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Passes by itself.
    Transient,
    /// Too many calls: wait.
    Rate,
    /// The connection needs its user again.
    Reauth,
    /// The user lacks, or did not give us, the right.
    Permission,
    /// The content is refused.
    Permanent,
    /// The same was posted just before.
    Duplicate,
    /// The provider wants us to slow down.
    Policy,
    /// Our own app is set up wrongly.
    Config,
    /// The login has to be started anew.
    RestartLogin,
    /// A code that is not in our table: whether a publish happened is open.
    Unknown,
}

impl Class {
    /// The stable word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Rate => "rate",
            Self::Reauth => "reauth",
            Self::Permission => "permission",
            Self::Permanent => "permanent",
            Self::Duplicate => "duplicate",
            Self::Policy => "policy",
            Self::Config => "config",
            Self::RestartLogin => "restart_login",
            Self::Unknown => "unknown",
        }
    }

    /// The class of an error code with its subcode (0: none).
    #[must_use]
    pub fn of(code: i64, subcode: i64) -> Self {
        match (code, subcode) {
            (_, 1_346_003 | 1_349_125 | 1_366_046 | 1_404_102 | 1_609_008 | 2_061_006 | 2_069_019) => Self::Permanent,
            (_, 1_404_078) => Self::Permission,
            (190 | 102, _) | (_, 1_404_006 | 4_854_002) => Self::Reauth,
            (4, 2_207_051) | (368, _) | (_, 1_404_112) => Self::Policy,
            (100, 36_009) => Self::RestartLogin,
            (1 | 2, _) | (_, 1_363_047 | 1_609_010) => Self::Transient,
            (506, _) | (_, 1_366_051) => Self::Duplicate,
            (4 | 17 | 32 | 341 | 613 | 80_000..=80_014, _) => Self::Rate,
            (3 | 10 | 200..=299, _) | (100, 33) => Self::Permission,
            (101, _) => Self::Config,
            (100 | 324 | 1_609_005, _) => Self::Permanent,
            _ => Self::Unknown,
        }
    }
}

/// A call of the Graph API that brought no answer that could be used. Contains no token.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// No connection: nothing left this machine.
    #[error("could not connect to Meta")]
    Unreachable(#[source] reqwest::Error),
    /// The request left, no whole answer came.
    #[error("no answer from Meta")]
    NoAnswer(#[source] reqwest::Error),
    /// An answer that is not the Graph API's, such as a proxy's.
    #[error("an odd answer from Meta: status {status}")]
    Odd {
        /// The HTTP status.
        status: u16,
    },
    /// The Graph API refused.
    #[error("Meta refused: {message} (code {code}, subcode {subcode})")]
    Refused {
        /// What that means.
        class: Class,
        /// Meta's code.
        code: i64,
        /// Meta's subcode, 0 for none.
        subcode: i64,
        /// Meta's words.
        message: String,
        /// The account it concerns, if it was called for one.
        account_id: Option<AccountId>,
    },
}

#[derive(Deserialize)]
struct Envelope {
    error: GraphError,
}

#[derive(Deserialize)]
struct GraphError {
    #[serde(default)]
    message: String,
    code: i64,
    error_subcode: Option<i64>,
}

impl MetaError {
    pub(super) fn from_reqwest(error: reqwest::Error) -> Self {
        // The URL is left out: it may carry a proof.
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    pub(super) fn from_answer(status: u16, body: &[u8], account_id: Option<AccountId>) -> Self {
        match serde_json::from_slice::<Envelope>(body) {
            Ok(Envelope { error }) if status < 500 => Self::Refused {
                class: Class::of(error.code, error.error_subcode.unwrap_or(0)),
                code: error.code,
                subcode: error.error_subcode.unwrap_or(0),
                message: redact(&error.message),
                account_id,
            },
            Ok(_) | Err(_) => Self::Odd { status },
        }
    }

    fn into_cause(self) -> Cause {
        let (class, words) = match &self {
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Odd { .. } => ("transient", "Facebook did not answer."),
            Self::Refused { class, .. } => (class.name(), words(*class)),
        };
        Cause::new(class, words, self)
    }
}

fn words(class: Class) -> &'static str {
    match class {
        Class::Transient => "Facebook had a hiccup.",
        Class::Unknown => "Facebook answered an error that we do not know.",
        Class::Rate => "Facebook asks us to wait: too many calls.",
        Class::Reauth => "Facebook no longer accepts the connection: connect the Page again.",
        Class::Permission => "Facebook misses a permission: connect the Page again and grant everything asked for.",
        Class::Permanent => "Facebook refuses the content: change the text or the picture.",
        Class::Duplicate => "Facebook says that the same was posted just before.",
        Class::Policy => "Facebook asks us to slow down.",
        Class::Config => "Our Facebook app is set up wrongly; an operator has to look.",
        Class::RestartLogin => "The Facebook login cannot be used any more: connect the Page again.",
    }
}

impl From<MetaError> for JobError {
    fn from(error: MetaError) -> Self {
        let MetaError::Refused { class, account_id, .. } = &error else {
            return Self::Retry(error.into_cause());
        };
        match (*class, *account_id) {
            (Class::Transient | Class::Config | Class::Duplicate | Class::Unknown, _) => {
                Self::Retry(error.into_cause())
            }
            // The limit is the account's: its other jobs would only run into it.
            (Class::Rate, Some(id)) => {
                Self::Park(Parked::Account(id), Some(Duration::from_mins(10)), error.into_cause())
            }
            (Class::Rate, None) => Self::Later(Duration::from_mins(10), error.into_cause()),
            (Class::Policy, _) => Self::Later(Duration::from_hours(3), error.into_cause()),
            (Class::Reauth | Class::Permission, Some(id)) => Self::Park(Parked::Account(id), None, error.into_cause()),
            (Class::Reauth | Class::Permission, None) | (Class::Permanent | Class::RestartLogin, _) => {
                Self::Fail(error.into_cause())
            }
        }
    }
}

impl From<MetaError> for SendError {
    /// Whether a publishing call is known not to have happened. Codes 1 and 2, 5xx, odd answers and "the same was posted
    /// just before" leave that open.
    fn from(error: MetaError) -> Self {
        let is_definite = match &error {
            MetaError::Unreachable(_) => true,
            MetaError::NoAnswer(_) | MetaError::Odd { .. } => false,
            MetaError::Refused { class, subcode, .. } => match class {
                Class::Transient | Class::Duplicate | Class::Unknown => false,
                Class::Policy => *subcode != 2_207_051,
                Class::Rate
                | Class::Reauth
                | Class::Permission
                | Class::Permanent
                | Class::Config
                | Class::RestartLogin => true,
            },
        };
        if is_definite { Self::Refused(error.into()) } else { Self::Unclear(error.into_cause()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_classes() {
        for (code, subcode, class) in [
            (1, 0, Class::Transient),
            (2, 0, Class::Transient),
            (4, 0, Class::Rate),
            (4, 2_207_051, Class::Policy),
            (10, 0, Class::Permission),
            (17, 2_446_079, Class::Rate),
            (32, 0, Class::Rate),
            (100, 0, Class::Permanent),
            (100, 33, Class::Permission),
            (100, 36_009, Class::RestartLogin),
            (101, 0, Class::Config),
            (102, 0, Class::Reauth),
            (190, 0, Class::Reauth),
            (190, 463, Class::Reauth),
            (200, 0, Class::Permission),
            (299, 0, Class::Permission),
            (324, 0, Class::Permanent),
            (368, 1_390_008, Class::Policy),
            (368, 1_346_003, Class::Permanent),
            (1, 1_366_046, Class::Permanent),
            (506, 0, Class::Duplicate),
            (999_999, 0, Class::Unknown),
            (613, 1_996, Class::Rate),
            (80_001, 0, Class::Rate),
        ] {
            assert_eq!(Class::of(code, subcode), class, "{code}/{subcode}");
        }
    }

    #[test]
    fn a_body_that_is_no_graph_error_is_odd() {
        assert!(matches!(MetaError::from_answer(502, b"<html>", None), MetaError::Odd { status: 502 }));
        assert!(matches!(MetaError::from_answer(400, b"{}", None), MetaError::Odd { status: 400 }));
    }

    #[test]
    fn a_token_in_a_message_is_left_out() {
        let body = br#"{"error":{"message":"Malformed access token EAABsecret","code":190,"error_subcode":null}}"#;
        let error = MetaError::from_answer(400, body, None);
        assert!(error.to_string().contains("Malformed access token [hidden]"), "{error}");
    }

    #[test]
    fn only_a_clear_refusal_of_a_publish_is_definite() {
        let refusal = |code, subcode| {
            let body = format!(r#"{{"error":{{"message":"m","code":{code},"error_subcode":{subcode}}}}}"#);
            SendError::from(MetaError::from_answer(400, body.as_bytes(), Some(AccountId::new())))
        };
        assert!(matches!(refusal(190, 463), SendError::Refused(JobError::Park(_, None, _))));
        assert!(matches!(refusal(32, 0), SendError::Refused(JobError::Park(_, Some(_), _))));
        assert!(matches!(refusal(324, 0), SendError::Refused(JobError::Fail(_))));
        assert!(matches!(refusal(1, 0), SendError::Unclear(_)));
        assert!(matches!(refusal(506, 0), SendError::Unclear(_)));
        assert!(matches!(MetaError::from_answer(500, b"", None).into(), SendError::Unclear(_)));
    }
}
