//! Refusals of the framework, and panics, as problems.

use poem::{IntoResponse as _, Response, http::StatusCode};
use poem_openapi::error::{ContentTypeError, ParseRequestPayloadError};

use super::{ApiError, ErrorCode, Problem};

/// Turns a refusal of the framework into a problem.
pub(crate) fn from_framework(error: poem::Error) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    let status = error.status();
    let code = match status.as_u16() {
        400 => ErrorCode::Malformed,
        401 => return ApiError::unauthorized().into_response(),
        404 => ErrorCode::NotFound,
        405 => ErrorCode::MethodNotAllowed,
        413 => ErrorCode::TooLarge,
        415 => ErrorCode::UnsupportedMediaType,
        code if code < 500 => ErrorCode::Refused,
        _ => return ApiError::internal(FrameworkError(error)).into_response(),
    };
    let detail = match status.as_u16() {
        404 => "There is no such address: see /docs.".to_owned(),
        405 => "This address does not take that method: see /docs.".to_owned(),
        _ => refusal(&error),
    };
    problem_response(&Problem::new(status, code, detail))
}

/// Returns the framework's reason.
fn refusal(error: &poem::Error) -> String {
    if let Some(wrong) = error.downcast_ref::<ParseRequestPayloadError>() {
        wrong.reason.clone()
    } else if error.is::<ContentTypeError>() {
        format!("{error}: send a media type that /docs names for this operation.")
    } else {
        error.to_string()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the framework failed: {0}")]
struct FrameworkError(poem::Error);

/// Returns a problem as a whole response.
fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::json!({
        "type": problem.r#type, "title": problem.title, "status": problem.status, "code": problem.code,
        "detail": problem.detail,
    });
    Response::builder().status(status).content_type("application/problem+json").body(body.to_string())
}

/// Returns the response to a panic of a handler.
pub(crate) fn panic_response() -> Response {
    let detail = "Something failed on our side. Try again. If it happens again, tell the operator when it happened.";
    problem_response(&Problem::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, detail))
}
