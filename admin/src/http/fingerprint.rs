//! Fingerprints of requests. Requests with the same fingerprint ask for the same.

use poem::{Request, http::header};
use sha2::{Digest as _, Sha256};

use super::form::Form;

/// Returns the fingerprint of a request and leaves its body readable. A form counts by its fields,
/// as clients choose a new boundary each time.
pub(super) async fn of(request: &mut Request) -> poem::Result<Vec<u8>> {
    let form = request.extensions().get::<Form>().map(|form| form.sha256().to_vec());
    let body = request.take_body().into_bytes().await?;
    let fingerprint = {
        let kind = request.header(header::CONTENT_TYPE).unwrap_or_default();
        let address = request.uri().path_and_query().map_or("", |address| address.as_str());
        let head = [request.method().as_str().as_bytes(), address.as_bytes()];
        match &form {
            Some(form) => digest(head.into_iter().chain([b"form".as_slice(), form])),
            None => digest(head.into_iter().chain([kind.as_bytes(), &body])),
        }
    };
    request.set_body(body);
    Ok(fingerprint)
}

/// Returns the SHA-256 of parts, each with its length, so that no two lists of parts have the same.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_differ_by_each_part() {
        let sha256 = async |address: &str, kind: &str, body: &str| {
            let mut request = Request::builder().uri_str(address).content_type(kind).body(body.to_owned());
            let fingerprint = of(&mut request).await.unwrap();
            assert_eq!(request.take_body().into_string().await.unwrap(), body, "it is still there");
            fingerprint
        };
        let one = sha256("/a?x=1", "application/json", "{}").await;
        assert_eq!(one, sha256("/a?x=1", "application/json", "{}").await);
        for other in [
            sha256("/a?x=2", "application/json", "{}").await,
            sha256("/a?x=1", "text/plain", "{}").await,
            sha256("/a?x=1", "application/json", "").await,
        ] {
            assert_ne!(one, other);
        }
    }
}
