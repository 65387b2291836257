//! HEAD requests. Mail programs and others send them to look at links before people open them.

use poem::{Endpoint, Request, Response, http::Method};

/// Responds to HEAD without work where GET uses something up: a ticket, or the code that a provider
/// sent.
pub(crate) async fn look<E: Endpoint>(endpoint: E, request: Request) -> poem::Result<Response> {
    let path = request.uri().path();
    if *request.method() == Method::HEAD && (path.starts_with("/connect/") || path.ends_with("/callback")) {
        return Ok(Response::default());
    }
    endpoint.call(request).await.map(poem::IntoResponse::into_response)
}
