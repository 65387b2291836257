//! The files that pages load. They are part of the program, compressed once, and browsers keep them
//! for ever.
//!
//! Their address has a hash of all files, so another version has other addresses, and modules find
//! each other.

use std::{collections::BTreeMap, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::Compression;
use poem::{
    Request, Response, handler,
    http::{StatusCode, header},
    web::Path,
};
use sha2::{Digest as _, Sha256};

use crate::http::{Shared, compressed, takes_gzip};

/// The beginning of their addresses. (`/assets` is a page.)
pub(crate) const PATH: &str = "/s/";

/// The caching of a file whose address has the hash of its content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[derive(rust_embed::Embed)]
#[folder = "assets/"]
struct Embedded;

static ASSETS: LazyLock<Assets> = LazyLock::new(Assets::read);

struct Assets {
    hash: String,
    files: BTreeMap<String, Asset>,
}

struct Asset {
    content_type: &'static str,
    plain: Bytes,
    gzip: Bytes,
}

impl Assets {
    fn read() -> Self {
        let mut digest = Sha256::new();
        let mut files = BTreeMap::new();
        let mut names: Vec<_> = Embedded::iter().collect();
        names.sort();
        for name in names {
            let file = Embedded::get(&name).expect("it is listed");
            digest.update(name.as_bytes());
            digest.update(&file.data);
            files.insert(name.to_string(), Asset::new(&name, &file.data));
        }
        let hash = URL_SAFE_NO_PAD.encode(&digest.finalize()[..12]);
        Self { hash, files }
    }
}

impl Asset {
    fn new(name: &str, content: &[u8]) -> Self {
        let content_type = match name.rsplit_once('.') {
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            Some(_) | None => "application/octet-stream",
        };
        Self { content_type, plain: content.to_vec().into(), gzip: compressed(content, Compression::best()) }
    }
}

/// Returns the address of a file: `/s/kd93Aw0sLqTz71Xe/app.css`.
pub(crate) fn address(name: &str) -> String {
    format!("{PATH}{}/{name}", ASSETS.hash)
}

/// Serves a file. If a page of another version is open during a deployment, it gets the file of
/// this version.
#[handler]
pub(super) fn serve(request: &Request, Path((hash, name)): Path<(String, String)>) -> Response {
    let Some(asset) = ASSETS.files.get(&name) else {
        return Response::builder().status(StatusCode::NOT_FOUND).finish();
    };
    let life = if hash == ASSETS.hash { FOR_EVER } else { "no-cache" };
    let response = Response::builder()
        .content_type(asset.content_type)
        .header(header::CACHE_CONTROL, life)
        .header(header::VARY, "Accept-Encoding");
    let mut response = if takes_gzip(request) {
        response.header(header::CONTENT_ENCODING, "gzip").body(asset.gzip.clone())
    } else {
        response.body(asset.plain.clone())
    };
    response.extensions_mut().insert(Shared);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_type_that_browsers_take() {
        for (name, asset) in &ASSETS.files {
            assert_ne!(asset.content_type, "application/octet-stream", "{name}");
        }
        assert!(ASSETS.files.contains_key("app.css") && ASSETS.files.contains_key("app.js"));
    }
}
