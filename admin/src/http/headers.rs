//! What every answer tells browsers about itself.

use poem::{
    Endpoint, IntoResponse as _, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};

/// For answers that are read by programs.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// For our pages: their style and scripts are files of ours, and what becomes HTML passes the one policy of `swap.js`.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                           media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                           frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types linecook";

/// A year: only by https.
const TRANSPORT: &str = "max-age=31536000";

/// What each answer has, whatever it is.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Other sites learn nothing; with no-referrer, browsers would not say either that a form comes from our own pages.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Adds the headers that keep browsers from harm. What an operation sets itself stays where it may know better.
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
