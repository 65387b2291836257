//! Calls of the Graph API that went wrong, and what jobs decide then.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::{
    codes::{Class, OnWrite},
    wait::{self, DEFAULT_WAIT},
};
use crate::{
    engine::{Cause, CauseClass, JobError, Parked, SendError},
    ids::AccountId,
    providers::redact::redact,
};

/// How long a job waits that Meta wants to slow down. No header says.
const POLICY_WAIT: Duration = Duration::from_hours(3);

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
        /// How long it asks us to wait.
        wait: Option<Duration>,
    },
    /// A list whose end could not be found.
    #[error("a list of Meta's has no end, or goes on elsewhere")]
    Endless,
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
        /// How long it asks us to wait.
        wait: Option<Duration>,
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

#[derive(Deserialize)]
struct Carrier {
    error: Carried,
}

#[derive(Deserialize)]
struct Carried {
    original_response: Value,
}

/// The result of a write whose answer is an error because the read after it failed; as JSON or as a text that holds it.
/// Source: Graph API, "Advanced Uses: Read-After-Write, Errors".
pub(super) fn original_response(body: &[u8]) -> Option<Vec<u8>> {
    let Carrier { error } = serde_json::from_slice(body).ok()?;
    match error.original_response {
        Value::Null => None,
        Value::String(text) => Some(text.into_bytes()),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(other.to_string().into_bytes())
        }
    }
}

impl MetaError {
    pub(super) fn from_reqwest(error: reqwest::Error) -> Self {
        // The URL is left out: it may carry a proof.
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    /// An answer that is not what was asked for.
    pub(super) fn odd() -> Self {
        Self::Odd { status: 200, wait: None }
    }

    pub(super) fn from_answer(status: u16, headers: &HeaderMap, body: &[u8], account_id: Option<AccountId>) -> Self {
        let wait = wait::told(headers);
        match serde_json::from_slice::<Envelope>(body) {
            Ok(Envelope { error }) if status < 500 => Self::Refused {
                class: Class::of(error.code, error.error_subcode.unwrap_or(0)),
                code: error.code,
                subcode: error.error_subcode.unwrap_or(0),
                message: redact(&error.message),
                account_id,
                wait,
            },
            Ok(_) | Err(_) => Self::Odd { status, wait },
        }
    }

    fn cause_class(&self) -> CauseClass {
        match self {
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Odd { .. } | Self::Endless => CauseClass::Transient,
            Self::Refused { class, .. } => class.cause(),
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Odd { .. } => "Facebook did not answer.",
            Self::Endless => "Facebook's list has no end.",
            Self::Refused { class, .. } => class.words(),
        }
    }

    fn into_cause(self) -> Cause {
        Cause::new(self.cause_class(), self.words(), self)
    }
}

impl From<MetaError> for JobError {
    fn from(error: MetaError) -> Self {
        let MetaError::Refused { class, account_id, wait, .. } = &error else {
            return Self::Retry(error.into_cause());
        };
        let rest = wait.unwrap_or(DEFAULT_WAIT);
        match (*class, *account_id) {
            (Class::Transient | Class::Config | Class::Duplicate | Class::Unknown, _) => {
                Self::Retry(error.into_cause())
            }
            // The limit is the account's: its other jobs would only run into it.
            (Class::Rate, Some(id)) => Self::Park(Parked::Account(id), Some(rest), error.into_cause()),
            (Class::Rate, None) => Self::Later(rest, error.into_cause()),
            (Class::Policy, _) => Self::Later(wait.unwrap_or_default().max(POLICY_WAIT), error.into_cause()),
            (Class::Reauth | Class::Permission, Some(id)) => Self::Park(Parked::Account(id), None, error.into_cause()),
            (Class::Reauth | Class::Permission, None) | (Class::Permanent | Class::RestartLogin, _) => {
                Self::Fail(error.into_cause())
            }
        }
    }
}

impl From<MetaError> for SendError {
    /// Whether a write is known not to have happened: [`OnWrite`] says that of each code. An answer that is none, or is not the
    /// Graph API's, leaves it open.
    fn from(error: MetaError) -> Self {
        let on_write = match &error {
            MetaError::Unreachable(_) => OnWrite::Refused,
            MetaError::NoAnswer(_) | MetaError::Odd { .. } | MetaError::Endless => OnWrite::ReadBack,
            MetaError::Refused { code, subcode, .. } => OnWrite::of(*code, *subcode),
        };
        match on_write {
            OnWrite::Refused => Self::Refused(error.into()),
            OnWrite::ReadBack => Self::Unclear(error.into_cause()),
        }
    }
}

/// A read that went wrong. It says nothing about what the account shows, and nothing about the content of a post.
#[derive(Debug, thiserror::Error)]
#[error("could not read the account")]
pub struct ReadError(#[from] MetaError);

impl From<ReadError> for JobError {
    /// A limit and a dead connection hold up the account's other jobs too; after every other error it is read again.
    fn from(ReadError(error): ReadError) -> Self {
        let cause = |error: MetaError| {
            let words = format!("The Page could not be read: {}", error.words());
            Cause::new(error.cause_class(), words, error)
        };
        match &error {
            MetaError::Odd { wait: Some(wait), .. } => Self::Later(*wait, cause(error)),
            MetaError::Unreachable(_)
            | MetaError::NoAnswer(_)
            | MetaError::Odd { wait: None, .. }
            | MetaError::Endless => Self::Retry(cause(error)),
            MetaError::Refused { class, account_id, wait, .. } => match (*class, *account_id) {
                (Class::Rate, Some(id)) => {
                    Self::Park(Parked::Account(id), Some(wait.unwrap_or(DEFAULT_WAIT)), cause(error))
                }
                (Class::Reauth, Some(id)) => Self::Park(Parked::Account(id), None, cause(error)),
                (Class::Rate | Class::Reauth, None)
                | (
                    Class::Transient
                    | Class::Permission
                    | Class::Permanent
                    | Class::Duplicate
                    | Class::Policy
                    | Class::Config
                    | Class::RestartLogin
                    | Class::Unknown,
                    _,
                ) => Self::Retry(cause(error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &[u8]) -> MetaError {
        MetaError::from_answer(status, &HeaderMap::new(), body, Some(AccountId::new()))
    }

    fn refusal(code: i64, subcode: i64) -> MetaError {
        answer(400, format!(r#"{{"error":{{"message":"m","code":{code},"error_subcode":{subcode}}}}}"#).as_bytes())
    }

    #[test]
    fn a_body_that_is_no_graph_error_is_odd() {
        assert!(matches!(answer(502, b"<html>"), MetaError::Odd { status: 502, .. }));
        assert!(matches!(answer(400, b"{}"), MetaError::Odd { status: 400, .. }));
    }

    #[test]
    fn a_token_in_a_message_is_left_out() {
        let body = br#"{"error":{"message":"Malformed access token EAABsecret","code":190,"error_subcode":null}}"#;
        let error = answer(400, body);
        assert!(error.to_string().contains("Malformed access token [hidden]"), "{error}");
    }

    #[test]
    fn only_a_clear_refusal_of_a_publish_is_definite() {
        let refusal = |code, subcode| SendError::from(refusal(code, subcode));
        assert!(matches!(refusal(190, 463), SendError::Refused(JobError::Park(_, None, _))));
        assert!(matches!(refusal(32, 0), SendError::Refused(JobError::Park(_, Some(_), _))));
        assert!(matches!(refusal(324, 0), SendError::Refused(JobError::Fail(_))));
        assert!(matches!(refusal(1, 0), SendError::Unclear(_)));
        assert!(matches!(refusal(506, 0), SendError::Unclear(_)));
        assert!(matches!(answer(500, b"").into(), SendError::Unclear(_)));
        assert!(matches!(answer(500, br#"{"error":{"code":190}}"#).into(), SendError::Unclear(_)));
    }

    #[test]
    fn an_error_of_a_read_ends_nothing() {
        for (code, subcode) in [(10, 0), (100, 0), (100, 33), (200, 0), (324, 0), (368, 0), (101, 0), (999, 0)] {
            let JobError::Retry(cause) = ReadError(refusal(code, subcode)).into() else { panic!("{code}/{subcode}") };
            assert!(cause.message.starts_with("The Page could not be read: "), "{}", cause.message);
        }
        assert!(matches!(ReadError(refusal(190, 460)).into(), JobError::Park(_, None, _)));
        assert!(matches!(ReadError(refusal(4, 0)).into(), JobError::Park(_, Some(_), _)));
    }

    #[test]
    fn a_limit_lasts_as_long_as_it_says() {
        let headers: HeaderMap = [("retry-after".parse().unwrap(), "1800".parse().unwrap())].into_iter().collect();
        let body = br#"{"error":{"message":"m","code":4}}"#;
        let told = MetaError::from_answer(400, &headers, body, Some(AccountId::new()));
        for (error, minutes) in [(told, 30), (refusal(4, 0), 10)] {
            let JobError::Park(_, Some(wait), _) = error.into() else { panic!("{minutes}") };
            assert_eq!(wait, Duration::from_mins(minutes));
        }
    }

    #[test]
    fn an_error_may_carry_the_success() {
        let carried = |body: &str| original_response(body.as_bytes()).map(|body| String::from_utf8(body).unwrap());
        let expected = Some(r#"{"id":"1_2"}"#.to_owned());
        assert_eq!(carried(r#"{"error":{"code":190,"original_response":{"id":"1_2"}}}"#), expected);
        assert_eq!(carried(r#"{"error":{"code":2,"original_response":"{\"id\":\"1_2\"}"}}"#), expected);
        assert_eq!(carried(r#"{"error":{"code":190,"original_response":null}}"#), None);
        assert_eq!(carried(r#"{"error":{"code":190}}"#), None);
        assert_eq!(carried("<html>"), None);
    }
}
