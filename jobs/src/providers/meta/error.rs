//! Error responses of the Graph API.

use serde::Deserialize;
use serde_json::Value;

use super::{
    codes::{class_of, on_write},
    wait,
};
use crate::providers::{Class, Failure, http::Answer, redact::redact};

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

/// Returns the result of a write whose response is an error because the read after it failed. It is
/// JSON, or a text that holds JSON.
///
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

/// Returns the failure that a response of the Graph API reports, if any.
pub(super) fn failure_of(answer: &Answer) -> Option<Failure> {
    if answer.is_success() {
        return None;
    }
    let wait = wait::told(&answer.headers);
    Some(match serde_json::from_slice::<Envelope>(&answer.body) {
        Ok(Envelope { error }) if answer.status < 500 => {
            let (code, subcode) = (error.code, error.error_subcode.unwrap_or(0));
            let message = format!("{} (code {code}, subcode {subcode})", redact(&error.message));
            Failure::Refused { class: class_of(code, subcode), on_write: on_write(code, subcode), message, wait }
        }
        Ok(_) | Err(_) => Failure::UnexpectedResponse { status: answer.status, wait },
    })
}

/// Returns the failure that a response of the endpoint of tokens reports, if any.
///
/// A wrong secret of our app has the code of unknown errors, and only the message tells it apart.
/// Source: Facebook Login, "Access Tokens".
pub(super) fn token_failure_of(answer: &Answer) -> Option<Failure> {
    let mut failure = failure_of(answer)?;
    if let Failure::Refused { class: class @ Class::Transient, message, .. } = &mut failure
        && message.starts_with("Error validating client secret")
    {
        *class = Class::Config;
    }
    Some(failure)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::{
        engine::{JobError, SendError},
        ids::AccountId,
        providers::{Provider, ProviderError, ReadError},
    };

    fn answer_with(status: u16, headers: HeaderMap, body: &[u8]) -> ProviderError {
        let answer = Answer { status, headers, body: Bytes::copy_from_slice(body), clock: None };
        let failure = failure_of(&answer).expect("a failure");
        ProviderError { provider: Provider::Facebook, account_id: Some(AccountId::new()), failure }
    }

    fn answer(status: u16, body: &[u8]) -> ProviderError {
        answer_with(status, HeaderMap::new(), body)
    }

    fn refusal(code: i64, subcode: i64) -> ProviderError {
        answer(400, format!(r#"{{"error":{{"message":"m","code":{code},"error_subcode":{subcode}}}}}"#).as_bytes())
    }

    #[test]
    fn a_body_that_is_no_graph_error_is_unexpected() {
        assert!(matches!(answer(502, b"<html>").failure, Failure::UnexpectedResponse { status: 502, .. }));
        assert!(matches!(answer(400, b"{}").failure, Failure::UnexpectedResponse { status: 400, .. }));
    }

    #[test]
    fn a_wrong_secret_of_our_app_is_told_from_a_passing_error() {
        let class = |message: &str| {
            let body = format!(r#"{{"error":{{"message":"{message}","code":1}}}}"#);
            let answer = Answer { status: 400, headers: HeaderMap::new(), body: Bytes::from(body), clock: None };
            match token_failure_of(&answer) {
                Some(Failure::Refused { class, .. }) => class,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(class("Error validating client secret."), Class::Config);
        assert_eq!(class("An unknown error occurred"), Class::Transient);
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
            let JobError::Retry(cause) = ReadError::from(refusal(code, subcode)).into() else {
                panic!("{code}/{subcode}")
            };
            assert!(cause.message.starts_with("The Page could not be read: "), "{}", cause.message);
        }
        assert!(matches!(ReadError::from(refusal(190, 460)).into(), JobError::Park(_, None, _)));
        assert!(matches!(ReadError::from(refusal(4, 0)).into(), JobError::Park(_, Some(_), _)));
    }

    #[test]
    fn a_limit_lasts_as_long_as_it_says() {
        let headers: HeaderMap = [("retry-after".parse().unwrap(), "1800".parse().unwrap())].into_iter().collect();
        let body = br#"{"error":{"message":"m","code":4}}"#;
        let told = answer_with(400, headers, body);
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
