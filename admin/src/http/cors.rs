//! Cross-origin requests: pages of the origins in `CORS_ORIGINS` may read responses.

use poem::{
    Endpoint, IntoResponse as _, Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};

use crate::{ApiError, config::Origins, state::AppState};

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const SENT: &str = "authorization, content-type, idempotency-key, last-event-id, linecook-tenant";
const READ: &str = "location, idempotent-replayed, ratelimit, ratelimit-policy, retry-after";

/// The time for which browsers may cache what they were allowed.
const MAX_AGE_SECONDS: &str = "600";

/// Responds to browsers' preflight requests, and lets pages of listed origins read responses.
pub(crate) async fn share<E: Endpoint>(endpoint: E, request: Request, state: AppState) -> poem::Result<Response> {
    let origins = &state.http.cors_origins;
    let origin = request.headers().get(header::ORIGIN).cloned();
    let listed = origin.filter(|origin| is_listed(origins, origin));
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (asks, &listed) {
        (true, Some(_)) => allowed(),
        (true, None) => ApiError::origin_not_listed().into_response(),
        (false, _) => endpoint.call(request).await?.into_response(),
    };
    let headers = response.headers_mut();
    if !origins.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = listed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    }
    Ok(response)
}

fn is_listed(origins: &Origins, origin: &HeaderValue) -> bool {
    origin.to_str().is_ok_and(|origin| origins.list(origin))
}

fn allowed() -> Response {
    Response::builder()
        .status(StatusCode::NO_CONTENT)
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
        .header(header::ACCESS_CONTROL_ALLOW_HEADERS, SENT)
        .header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS)
        .finish()
}
