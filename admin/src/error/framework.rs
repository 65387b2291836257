//! Refusals of the framework, and panics, as problems.

use poem::{IntoResponse as _, Response, http::StatusCode};
use poem_openapi::error::{
    ContentTypeError, ParseMultipartError, ParseParamError, ParsePathError, ParseRequestPayloadError,
};

use super::{ApiError, ErrorCode, Problem};

/// Turns a refusal of the framework into a problem; `names` are those in the operation's path.
pub(crate) fn from_framework(error: poem::Error, names: &[String]) -> Response {
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
        _ => refusal(&error, names),
    };
    problem_response(&Problem::new(status, code, detail))
}

/// Returns the framework's reason, preceded by the name of the parameter if there is one.
fn refusal(error: &poem::Error, names: &[String]) -> String {
    if let Some(wrong) = error.downcast_ref::<ParsePathError>() {
        // The framework numbers the parameters of a path.
        let number = wrong.name.strip_prefix("param").and_then(|number| number.parse::<usize>().ok());
        let name = number.and_then(|number| names.get(number)).map_or(wrong.name, String::as_str);
        format!("{name}: {}", plain(&wrong.reason))
    } else if let Some(wrong) = error.downcast_ref::<ParseParamError>() {
        format!("{}: {}", wrong.name, plain(&wrong.reason))
    } else if let Some(wrong) = error.downcast_ref::<ParseRequestPayloadError>() {
        wrong.reason.clone()
    } else if let Some(wrong) = error.downcast_ref::<ParseMultipartError>() {
        wrong.reason.clone()
    } else if error.is::<ContentTypeError>() {
        format!("{error}: send a media type that /docs names for this operation.")
    } else {
        error.to_string()
    }
}

/// Replaces a reason that names the framework's own type by one that says what is right.
fn plain(reason: &str) -> String {
    let Some((kind, _)) = reason.strip_prefix("failed to parse \"").and_then(|rest| rest.split_once('"')) else {
        return reason.to_owned();
    };
    let right = [
        ("integer", "a whole number"),
        ("number", "a number"),
        ("boolean", "true or false"),
        ("uuid", "an id, such as 0197c1de-86a2-7c33-9a3b-2f1d6c0e5b14"),
        ("date-time", "a time, such as 2026-12-01T18:00:00Z"),
        ("date", "a date, such as 2026-12-01"),
    ];
    let right = right.into_iter().find(|(name, _)| kind.contains(name));
    right.map_or_else(|| reason.to_owned(), |(_, right)| format!("it should be {right}."))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_right_is_said_without_a_types_name() {
        for (kind, right) in [
            ("optional_integer_int64", "a whole number"),
            ("string_uuid", "an id"),
            ("optional_string_date-time", "a time"),
        ] {
            let said = plain(&format!("failed to parse \"{kind}\": invalid digit found in string"));
            assert!(said.contains(right) && !said.contains('_'), "{said}");
        }
        assert_eq!(plain("something else"), "something else");
    }
}
