//! Compression of responses: static files once, pages each time.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use poem::{
    Endpoint, IntoResponse as _, Request, Response,
    http::{HeaderValue, header},
};

/// The size from which a page is compressed: below it, the result is hardly smaller.
const WORTH_BYTES: usize = 1024;

/// Returns bytes compressed.
pub(crate) fn compressed(bytes: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).expect("writing to memory does not fail");
    encoder.finish().expect("writing to memory does not fail").into()
}

/// Returns true if the client takes compressed responses.
pub(crate) fn takes_gzip(request: &Request) -> bool {
    lists_gzip(request.header(header::ACCEPT_ENCODING).unwrap_or_default())
}

fn lists_gzip(encodings: &str) -> bool {
    encodings.split(',').any(|encoding| {
        let (name, weight) = encoding.split_once(';').unwrap_or((encoding, "q=1"));
        let is_refused = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

/// Compresses pages. They hold no secret beside what a stranger could have put there: forms are
/// protected by where they come from, not by a token.
pub(crate) async fn compress_pages<E: Endpoint>(endpoint: E, request: Request) -> poem::Result<Response> {
    let takes_gzip = takes_gzip(&request);
    let mut response = endpoint.call(request).await?.into_response();
    let is_page = response.content_type().is_some_and(|kind| kind.starts_with("text/html"));
    if !is_page || response.headers().contains_key(header::CONTENT_ENCODING) {
        return Ok(response);
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if takes_gzip {
        let body = response.take_body().into_bytes().await?;
        if body.len() < WORTH_BYTES {
            response.set_body(body);
        } else {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.set_body(compressed(&body, Compression::default()));
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip_gets_it() {
        for takes in ["gzip", "deflate, gzip;q=0.5, br", "GZIP; q=1"] {
            assert!(lists_gzip(takes), "{takes}");
        }
        for refuses in ["", "br", "gzip;q=0", "identity, gzip; q=0.0"] {
            assert!(!lists_gzip(refuses), "{refuses}");
        }
    }
}
