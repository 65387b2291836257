//! The reference pages. Their scripts are inline, so the policy names each by its hash.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{Endpoint, Response, endpoint::make_sync, http::header};
use sha2::{Digest as _, Sha256};

/// Returns the endpoint of the description itself.
pub(crate) fn description(described: String) -> impl Endpoint<Output = Response> + use<> {
    make_sync(move |_| {
        Response::builder()
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-cache")
            .body(described.clone())
    })
}

/// Returns Swagger UI, to try operations out.
pub(crate) fn swagger(html: &str, plain: &str, described: &str) -> impl Endpoint<Output = Response> + use<> {
    page(html.replacen(plain, described, 1), "")
}

/// Returns Redoc, to read. Its search needs a worker and its fonts come from elsewhere, so both are
/// off.
pub(crate) fn redoc(html: &str, plain: &str, described: &str) -> impl Endpoint<Output = Response> + use<> {
    page(html.replacen(plain, described, 1), "; worker-src blob:")
}

fn page(html: String, more: &str) -> impl Endpoint<Output = Response> + use<> {
    let hash = |script: &str| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(script)));
    let hashes: String = scripts(&html).into_iter().map(hash).collect();
    let policy = format!(
        "default-src 'none'; script-src{hashes}; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; \
         connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'{more}"
    );
    make_sync(move |_| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, &policy)
            .header(header::CACHE_CONTROL, "no-cache")
            .body(html.clone())
    })
}

/// Returns the scripts of a page, as browsers find them.
fn scripts(mut html: &str) -> Vec<&str> {
    let mut found = Vec::new();
    while let Some((_, rest)) = html.split_once("<script") {
        let Some((script, rest)) = rest.split_once('>').and_then(|(_, rest)| rest.split_once("</script>")) else {
            break;
        };
        found.push(script);
        html = rest;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_as_browsers_find_them() {
        let html = "<b><script charset=x>let a = '<script>b';</script><p></p><script>c()</script><script>never ends";
        assert_eq!(scripts(html), ["let a = '<script>b';", "c()"]);
    }
}
