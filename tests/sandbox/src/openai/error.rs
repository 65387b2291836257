//! The errors of `OpenAI`.

use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// An error as `OpenAI` answers it.
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
    /// A request that is wrong, and where.
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

    /// A call that is not of this API.
    pub(crate) fn unknown_address(method: &str, path: &str) -> Self {
        let message = format!("Invalid URL ({method} /{path})");
        Self { status: StatusCode::NOT_FOUND, ..Self::invalid(None, None, message) }
    }

    /// A schema that strict mode does not take; `what` says why.
    pub(crate) fn schema(name: &str, what: &str) -> Self {
        let message = format!("Invalid schema for response_format '{name}': {what}");
        Self::invalid(Some("invalid_json_schema"), Some("response_format"), message)
    }

    /// A model that does not exist.
    pub(crate) fn unknown_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self { status: StatusCode::NOT_FOUND, ..Self::invalid(Some("model_not_found"), None, message) }
    }

    /// No key at all.
    pub(crate) fn missing_key() -> Self {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using \
                       Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        Self { status: StatusCode::UNAUTHORIZED, ..Self::invalid(None, None, message) }
    }

    /// A key that nobody has.
    pub(crate) fn invalid_key() -> Self {
        let message = "Incorrect API key provided: sk-bad. You can find your API key at \
                       https://platform.openai.com/account/api-keys.";
        Self { status: StatusCode::UNAUTHORIZED, ..Self::invalid(Some("invalid_api_key"), None, message) }
    }

    /// Too many calls; it passes.
    pub(crate) fn rate_limited() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "requests",
            retry_after_seconds: Some(2),
            ..Self::invalid(Some("rate_limit_exceeded"), None, "Rate limit reached. Please try again in 2s.")
        }
    }

    /// Nobody paid; it does not pass.
    pub(crate) fn insufficient_quota() -> Self {
        let message = "You exceeded your current quota, please check your plan and billing details.";
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "insufficient_quota",
            ..Self::invalid(Some("insufficient_quota"), None, message)
        }
    }

    /// The provider fails.
    pub(crate) fn server_error() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "server_error",
            ..Self::invalid(None, None, "The server had an error while processing your request. Sorry about that!")
        }
    }

    /// The answer.
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
