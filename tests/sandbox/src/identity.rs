//! Google and GitHub, as far as signing in needs them: the page, the exchange of a code, and the
//! user's identity.

mod accounts;
mod codes;
mod github;
mod google;

use poem::http::{HeaderMap, StatusCode, header};
use poem::{Body, Request, Response, handler};
use serde_json::Value;

pub(crate) use accounts::{GithubAccount, GoogleAccount, Identities};

use crate::operation::Operation;
use crate::params::Params;
use crate::provider::Incoming;

/// A handler of one kind of call.
pub(crate) type Handle = fn(&Incoming, &Params) -> Response;

/// Handles everything under `/{world}/google`.
#[handler]
pub(crate) async fn serve_google(request: &Request, body: Body) -> Response {
    serve(request, body, google::route).await
}

/// Handles everything under `/{world}/github`; the API is under `api/` there.
#[handler]
pub(crate) async fn serve_github(request: &Request, body: Body) -> Response {
    serve(request, body, github::route).await
}

pub(crate) async fn serve(request: &Request, body: Body, route: fn(&str, &[&str]) -> (Operation, Handle)) -> Response {
    let incoming = match Incoming::read(request, body).await {
        Ok(incoming) => incoming,
        Err(response) => return response,
    };
    let (operation, handle) = route(&incoming.method, &incoming.segments());
    let respond = move |incoming: Incoming, _| async move {
        let params = Params::read(&incoming.query, &incoming.headers, &incoming.body).await.unwrap_or_default();
        handle(&incoming, &params)
    };
    incoming.answer(operation, respond).await
}

pub(crate) fn nowhere(_: &Incoming, _: &Params) -> Response {
    StatusCode::NOT_FOUND.into()
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    let response = Response::builder().status(status).content_type("application/json; charset=utf-8");
    response.header(header::CACHE_CONTROL, "no-store").body(body.to_string())
}

/// Redirects the browser, or shows the error in the request.
fn page(result: Result<String, &'static str>) -> Response {
    match result {
        Ok(address) => Response::builder().status(StatusCode::FOUND).header(header::LOCATION, address).finish(),
        Err(reason) => Response::builder()
            .status(StatusCode::BAD_REQUEST)
            .content_type("text/html; charset=utf-8")
            .body(format!("<html><body><h1>Access blocked</h1><p>{reason}</p></body></html>")),
    }
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
