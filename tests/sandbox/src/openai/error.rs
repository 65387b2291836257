//! The errors of `OpenAI`.

use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// An error in `OpenAI`'s format.
#[derive(Debug)]
pub(crate) struct OpenAiError {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
    retry_after_seconds: Option<u32>,
}

impl OpenAiError {
    /// Returns the error for an invalid request, with the parameter's name.
    pub(crate) fn invalid(code: Option<&'static str>, param: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            code,
            param: param.map(str::to_owned),
            message: message.into(),
            retry_after_seconds: None,
        }
    }

    /// Returns the error for an address outside this API.
    pub(crate) fn unknown_address(method: &str, path: &str) -> Self {
        let message = format!("Invalid URL ({method} /{path})");
        Self { status: StatusCode::NOT_FOUND, ..Self::invalid(None, None, message) }
    }

    /// Returns the error for a schema that strict mode rejects; `what` gives the reason.
    pub(crate) fn schema(name: &str, what: &str) -> Self {
        let message = format!("Invalid schema for response_format '{name}': {what}");
        Self::invalid(Some("invalid_json_schema"), Some("response_format"), message)
    }

    /// Returns the error for a model that does not exist.
    pub(crate) fn unknown_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self { status: StatusCode::NOT_FOUND, ..Self::invalid(Some("model_not_found"), None, message) }
    }

    /// Returns the error for a missing key.
    pub(crate) fn missing_key() -> Self {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using \
                       Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        Self { status: StatusCode::UNAUTHORIZED, ..Self::invalid(None, None, message) }
    }

    /// Returns the error for an unknown key.
    pub(crate) fn invalid_key() -> Self {
        let message = "Incorrect API key provided: sk-bad. You can find your API key at \
                       https://platform.openai.com/account/api-keys.";
        Self { status: StatusCode::UNAUTHORIZED, ..Self::invalid(Some("invalid_api_key"), None, message) }
    }

    /// Returns the error for too many calls, which passes.
    pub(crate) fn rate_limited() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "requests",
            retry_after_seconds: Some(2),
            ..Self::invalid(Some("rate_limit_exceeded"), None, "Rate limit reached. Please try again in 2s.")
        }
    }

    /// Returns the error for an exhausted quota, which does not pass by itself.
    pub(crate) fn insufficient_quota() -> Self {
        let message = "You exceeded your current quota, please check your plan and billing details.";
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "insufficient_quota",
            ..Self::invalid(Some("insufficient_quota"), None, message)
        }
    }

    /// Returns the error for a failure of the provider.
    pub(crate) fn server_error() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "server_error",
            ..Self::invalid(None, None, "The server had an error while processing your request. Sorry about that!")
        }
    }

    /// Returns the response with this error.
    pub(crate) fn into_response(self) -> Response {
        let error = json!({
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        });
        let mut response = Response::builder()
            .status(self.status)
            .content_type("application/json")
            .body(json!({"error": error}).to_string());
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
