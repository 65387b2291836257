//! The security headers of every response.

use poem::{
    Endpoint, IntoResponse as _, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};

/// The policy of responses for programs.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The policy of our pages. Their style and scripts are files of ours, and text becomes HTML in
/// `swap.js` only.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                           media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                           frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types linecook";

/// The time for which browsers use only https: a year.
const TRANSPORT: &str = "max-age=31536000";

/// The headers of every response.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Other sites learn nothing. With no-referrer, browsers would not even say that a form comes
    // from our own pages.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Adds the headers that protect browsers. An operation's own headers stay, as it may know better.
pub(crate) async fn protect<E: Endpoint>(endpoint: E, request: Request, is_https: bool) -> poem::Result<Response> {
    let mut response = endpoint.call(request).await?.into_response();
    let is_page = response.content_type().is_some_and(|kind| kind.starts_with("text/html"));
    let is_refused = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT));
    }
    if is_refused {
        set_default(headers, header::WWW_AUTHENTICATE, "Bearer");
    }
    set_default(headers, header::CONTENT_SECURITY_POLICY, if is_page { PAGE_POLICY } else { DATA_POLICY });
    set_default(headers, header::CACHE_CONTROL, "no-store");
    Ok(response)
}

fn set_default(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
