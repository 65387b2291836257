//! Errors for people. A browser that asks for a page gets an error page, or the form to sign in if
//! nobody is signed in.

use poem::{
    Endpoint, IntoResponse as _, Request, Response,
    http::{Method, StatusCode, header},
};
use serde_json::Value;

use super::{landing, theme};
use crate::html::{Link, message_page, redirect};

const HOME: [Link; 1] = [("/", "To the beginning")];
const SECOND_FACTOR: [Link; 1] = [(super::second_factor::PATH, "Set up a second factor")];
const SIGN_IN: [Link; 1] = [("/sign-in", "Sign in")];

/// Replaces a problem by a page, if a browser asked for a page.
pub(crate) async fn for_people<E: Endpoint>(endpoint: E, request: Request) -> poem::Result<Response> {
    let wants_page = request.header(header::ACCEPT).is_some_and(|kinds| kinds.contains("text/html"));
    let theme = theme::asked(&request);
    let path = request.uri().path();
    let asked = request.uri().path_and_query().map_or("/", |address| address.as_str()).to_owned();
    let is_console = *request.method() == Method::GET && !path.starts_with("/api/");
    let response = endpoint.call(request).await?.into_response();
    if !wants_page || response.content_type() != Some("application/problem+json") {
        return Ok(response);
    }
    if response.status() == StatusCode::UNAUTHORIZED && is_console {
        return Ok(redirect(&landing::sign_in_for(&asked)));
    }
    let (mut parts, body) = response.into_parts();
    let problem: Value = body.into_json().await.unwrap_or_default();
    let words = problem["detail"].as_str().unwrap_or("Something went wrong.").to_owned();
    let code = problem["code"].as_str().unwrap_or_default();
    let page = theme::rendered_in(theme, || page(parts.status, code, &words, is_console.then_some(asked.as_str())));
    let (page_parts, page_body) = page.into_parts();
    if let Some(kind) = page_parts.headers.get(header::CONTENT_TYPE) {
        parts.headers.insert(header::CONTENT_TYPE, kind.clone());
    }
    Ok(Response::from_parts(parts, page_body))
}

/// Returns the page. `again` is the address to try again, for a page that only shows something.
fn page(status: StatusCode, code: &str, words: &str, again: Option<&str>) -> Response {
    let title = title(status);
    match (status, code) {
        (_, "second_factor_required") => message_page(status, title, words, &SECOND_FACTOR),
        (StatusCode::UNAUTHORIZED, _) => message_page(status, title, "Sign in first, and try again.", &SIGN_IN),
        (_, "not_found" | "method_not_allowed") => {
            let words = "There is nothing at this address, or it is not yours to see. Go back, or begin anew.";
            message_page(status, title, words, &HOME)
        }
        (_, "idempotency_key_reused") => {
            let words =
                "This form was sent before with other words in it. Open its page again, and send it from there.";
            message_page(status, title, words, &HOME)
        }
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => match again {
            Some(address) => {
                let words = format!("{words} Nothing was changed.");
                message_page(status, title, &words, &[(address, "Try again"), HOME[0]])
            }
            None => message_page(status, title, words, &HOME),
        },
        _ => message_page(status, title, words, &HOME),
    }
}

fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "You are not signed in",
        403 => "You may not do that",
        404 | 405 => "Not found",
        409 => "That cannot be done now",
        413 => "Too large",
        429 => "Too many requests",
        503 => "Not available right now",
        code if code < 500 => "That cannot be done",
        _ => "Something failed",
    }
}
