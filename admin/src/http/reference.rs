//! The reference pages. Their scripts are inline, so the policy names each by its hash. All clients
//! share their bytes, which are compressed once.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use flate2::Compression;
use poem::{
    Endpoint, Request, Response,
    endpoint::make_sync,
    http::{StatusCode, header},
};
use sha2::{Digest as _, Sha256};

use super::gzip::{compressed, takes_gzip};

/// Marks a response whose bytes all clients share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared;

/// Returns the endpoint of the description itself.
pub(crate) fn description(described: String) -> impl Endpoint<Output = Response> + use<> {
    let file = File::new("application/json", described, None);
    make_sync(move |request| file.answer(&request))
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
    let file = File::new("text/html; charset=utf-8", html, Some(policy));
    make_sync(move |request| file.answer(&request))
}

/// A text that is the same for everybody.
struct File {
    content_type: &'static str,
    policy: Option<String>,
    tag: String,
    plain: Bytes,
    compressed: Bytes,
}

impl File {
    fn new(content_type: &'static str, text: String, policy: Option<String>) -> Self {
        let tag = format!("\"{}\"", STANDARD.encode(Sha256::digest(&text)));
        let compressed = compressed(text.as_bytes(), Compression::best());
        Self { content_type, policy, tag, plain: text.into(), compressed }
    }

    fn answer(&self, request: &Request) -> Response {
        let mut response = Response::builder()
            .content_type(self.content_type)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::ETAG, &self.tag)
            .header(header::VARY, "Accept-Encoding");
        if let Some(policy) = &self.policy {
            response = response.header(header::CONTENT_SECURITY_POLICY, policy);
        }
        if is_known(request.header(header::IF_NONE_MATCH).unwrap_or_default(), &self.tag) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        let mut response = if takes_gzip(request) {
            response.header(header::CONTENT_ENCODING, "gzip").body(self.compressed.clone())
        } else {
            response.body(self.plain.clone())
        };
        response.extensions_mut().insert(Shared);
        response
    }
}

/// Proxies that compress by themselves weaken the tag.
fn is_known(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
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
    fn who_has_it_already_is_told_so() {
        let file = File::new("text/plain", "x".repeat(1000), None);
        let ask = |tag: &str| file.answer(&Request::builder().header(header::IF_NONE_MATCH, tag).finish()).status();
        let tag = file.tag.clone();
        for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            assert_eq!(ask(&known), StatusCode::NOT_MODIFIED, "{known}");
        }
        assert_eq!(ask("\"other\""), StatusCode::OK);
    }

    #[test]
    fn scripts_are_found_as_browsers_find_them() {
        let html = "<b><script charset=x>let a = '<script>b';</script><p></p><script>c()</script><script>never ends";
        assert_eq!(scripts(html), ["let a = '<script>b';", "c()"]);
    }
}
