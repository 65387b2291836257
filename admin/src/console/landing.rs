//! The first page of a visitor who asks for no page in particular.

use std::sync::Arc;

use poem::{Endpoint, Request, Response, handler, http::Method};
use url::form_urlencoded;

use super::{accounts, second_factor};
use crate::{auth::Identity, html::redirect};

/// The address that leads to the first page.
const FIRST: &str = "/home";

/// Sends a browser to the first page, or to the form to sign in.
#[handler]
pub(crate) fn land(request: &Request) -> Response {
    first_page(request)
}

/// Does the same at the address without a path, which the router leaves to the API.
pub(crate) async fn land_at_root<E: Endpoint>(endpoint: E, request: Request) -> poem::Result<Response> {
    if *request.method() == Method::GET && request.uri().path() == "/" {
        return Ok(first_page(&request));
    }
    endpoint.call(request).await.map(poem::IntoResponse::into_response)
}

fn first_page(request: &Request) -> Response {
    let identity = request.extensions().get::<Arc<Identity>>();
    let Some(identity) = identity.filter(|identity| identity.person.is_some()) else {
        return redirect("/sign-in");
    };
    if identity.needs_second_factor() {
        return redirect(second_factor::PATH);
    }
    match identity.current_tenant() {
        Some(tenant_id) => redirect(&format!("{}?workspace={tenant_id}", accounts::PATH)),
        None if identity.is_operator() => redirect("/jobs"),
        None => redirect("/me"),
    }
}

/// Returns the page that the visitor wanted to see before signing in. Addresses of other sites are
/// ignored.
pub(crate) fn after_sign_in(request: &Request) -> String {
    let query = request.uri().query().unwrap_or_default();
    let next = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next").map(|(_, next)| next);
    next.filter(|next| is_ours(next)).map_or_else(|| FIRST.to_owned(), std::borrow::Cow::into_owned)
}

/// Returns true for an address of our own. Browsers read `//` and `/\` as the beginning of another
/// host, and first drop tabs and line ends.
fn is_ours(address: &str) -> bool {
    let mut chars = address.chars();
    chars.next() == Some('/')
        && !matches!(chars.next(), Some('/' | '\\'))
        && address.len() <= 2000
        && address.chars().all(|c| c.is_ascii_graphic())
}

/// Returns the address of the form for a code, which leads to `next`.
pub(crate) fn code_for(next: &str) -> String {
    if next == FIRST {
        return "/sign-in/code".to_owned();
    }
    let next: String = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("/sign-in/code?{next}")
}

/// Returns the address of the form to sign in, which leads back to `address`.
pub(super) fn sign_in_for(address: &str) -> String {
    let next: String = form_urlencoded::Serializer::new(String::new()).append_pair("next", address).finish();
    format!("/sign-in?{next}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_after_signing_in() {
        let after = |next: &str| {
            let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
            after_sign_in(&Request::builder().uri_str(format!("/sign-in?{query}")).finish())
        };
        assert_eq!(after("/workspace?workspace=1&x=%20"), "/workspace?workspace=1&x=%20");
        for elsewhere in [
            "",
            "//evil.example.com",
            "/\\evil.example.com",
            "https://evil.example.com",
            "/\t/evil.example.com",
            "me",
            "/a b",
        ] {
            assert_eq!(after(elsewhere), "/home", "{elsewhere}");
        }
    }
}
