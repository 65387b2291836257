//! Graph's errors: envelope, status, codes and messages.

use chrono::{DateTime, Utc};
use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::clock::pacific_time;
use crate::faults::GraphFault;
use crate::tokens::random_text;

const DOCUMENTATION: &str = "https://developers.facebook.com/docs/graph-api";

/// An error in Graph's format.
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    status: StatusCode,
    kind: &'static str,
    code: u32,
    subcode: Option<u32>,
    message: String,
    /// The title and text for people.
    for_people: Option<(&'static str, &'static str)>,
    is_transient: bool,
    /// The response to a write, if the read after it failed.
    original_response: Option<Value>,
}

impl GraphError {
    /// Returns an `OAuthException`, the type of most errors.
    pub(crate) fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "OAuthException",
            code,
            subcode: None,
            message: message.into(),
            for_people: None,
            is_transient: code == 2,
            original_response: None,
        }
    }

    /// Returns the error for a parameter that Graph does not accept. `what` goes after `(#100)`.
    pub(crate) fn invalid(what: &str) -> Self {
        Self::new(100, format!("(#100) {what}"))
    }

    /// Returns the error for a path outside this API.
    pub(crate) fn unknown_path(path: &str) -> Self {
        Self::new(2500, format!("Unknown path components: /{path}"))
    }

    /// Returns the error for an object that does not exist, or not for this token.
    pub(crate) fn missing_object(method: &str, id: &str) -> Self {
        let message = format!(
            "Unsupported {} request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, \
             or does not support this operation. Please read the Graph API documentation at {DOCUMENTATION}",
            method.to_lowercase()
        );
        Self { kind: "GraphMethodException", ..Self::new(100, message) }.subcode(33)
    }

    /// Returns the error for a missing permission or role.
    pub(crate) fn missing_permission(what: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, ..Self::new(200, format!("(#200) {what}")) }
    }

    /// Returns the error for a proof that is wrong or missing.
    pub(crate) fn proof(message: &str) -> Self {
        Self { kind: "GraphMethodException", ..Self::new(100, message) }
    }

    /// Returns the error for an invalid token, with the reason in `subcode`.
    pub(crate) fn dead_token(
        subcode: u32,
        app_id: &str,
        expired_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let reason = match subcode {
            458 => format!("The user has not authorized application {app_id}."),
            459 => "You cannot access the app till you log in to www.facebook.com and follow the instructions given."
                .to_owned(),
            460 => "The session has been invalidated because the user changed their password or Facebook has changed \
                    the session for security reasons."
                .to_owned(),
            463 => format!(
                "Session has expired on {}. The current time is {}.",
                pacific_time(expired_at.unwrap_or(now)),
                pacific_time(now)
            ),
            464 => "Sessions for the user are not allowed because the user is not a confirmed user.".to_owned(),
            467 => "The session is invalid because the user logged out.".to_owned(),
            _ => "The session was invalidated.".to_owned(),
        };
        Self::new(190, format!("Error validating access token: {reason}")).subcode(subcode)
    }

    /// Returns the error that a test planned, with Graph's message if the test omits one.
    pub(crate) fn planned(fault: &GraphFault, original_response: Option<Value>) -> Self {
        let message = fault.message.clone().unwrap_or_else(|| match fault.code {
            1 => "An unknown error occurred".to_owned(),
            2 => "An unexpected error has occurred. Please retry your request later.".to_owned(),
            4 => "(#4) Application request limit reached".to_owned(),
            17 => "(#17) User request limit reached".to_owned(),
            32 => "(#32) Page request limit reached".to_owned(),
            613 => "(#613) Calls to this api have exceeded the rate limit.".to_owned(),
            80_001 => {
                "(#80001) There have been too many calls to this Page account. Wait a bit and try again.".to_owned()
            }
            368 => "The action attempted has been deemed abusive or is otherwise disallowed".to_owned(),
            code => format!("(#{code}) An error that the fault plan asked for"),
        });
        let is_transient = fault.is_transient.unwrap_or(fault.code == 2);
        Self { subcode: fault.subcode, is_transient, original_response, ..Self::new(fault.code, message) }
    }

    /// Returns the same error for a read that failed after a write, with the response to the write.
    pub(crate) fn after_write(self, original_response: Value) -> Self {
        Self { original_response: Some(original_response), ..self }
    }

    /// Returns the same error with a subcode.
    pub(crate) fn subcode(self, subcode: u32) -> Self {
        Self { subcode: Some(subcode), ..self }
    }

    /// Returns the same error with a title and text for people.
    pub(crate) fn for_people(self, title: &'static str, text: &'static str) -> Self {
        Self { for_people: Some((title, text)), ..self }
    }

    /// Returns the error as `debug_token` shows it.
    pub(crate) fn summary(&self) -> Value {
        let mut summary = json!({"code": self.code, "message": self.message});
        if let Some(subcode) = self.subcode {
            summary["subcode"] = subcode.into();
        }
        summary
    }

    /// Returns the response with this error.
    pub(crate) fn into_response(self) -> Response {
        let mut error = json!({
            "message": self.message,
            "type": self.kind,
            "code": self.code,
            "is_transient": self.is_transient,
            "fbtrace_id": format!("A{}", random_text(22)),
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = subcode.into();
        }
        if let Some(original_response) = &self.original_response {
            error["original_response"] = original_response.clone();
        }
        if let Some((title, text)) = self.for_people {
            error["error_user_title"] = title.into();
            error["error_user_msg"] = text.into();
        }
        let mut response = Response::builder()
            .status(self.status)
            .content_type("application/json; charset=UTF-8")
            .body(json!({"error": error}).to_string());
        if let Some(challenge) = self.challenge() {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    fn challenge(&self) -> Option<HeaderValue> {
        let word = match (self.code, self.subcode) {
            (190, _) => "invalid_token",
            (100, Some(36007..=36009)) => "invalid_code",
            (1 | 101, None) => "invalid_client",
            _ => return None,
        };
        HeaderValue::from_str(&format!("OAuth \"Facebook Platform\" \"{word}\" \"{}\"", self.message)).ok()
    }
}
