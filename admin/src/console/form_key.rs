//! The idempotency key of a form: a hidden field, as forms cannot send headers.

use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, Method},
};
use url::form_urlencoded;

/// The name of the field.
pub(super) const FIELD: &str = "idempotency_key";

/// The header by which programs send it.
const HEADER: &str = "idempotency-key";

/// Moves the key of a form into the header, so that a form that is sent twice has one effect.
pub(crate) async fn take_key<E: Endpoint>(endpoint: E, mut request: Request) -> poem::Result<Response> {
    let is_form = request.content_type().is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if request.method() == Method::POST && is_form && request.header(HEADER).is_none() {
        let body = request.take_body().into_bytes().await?;
        let sent = form_urlencoded::parse(&body).find(|(name, _)| name == FIELD);
        let key = sent.and_then(|(_, key)| HeaderValue::from_str(&key).ok());
        request.set_body(body);
        if let Some(key) = key {
            request.headers_mut().insert(HEADER, key);
        }
    }
    endpoint.call(request).await.map(poem::IntoResponse::into_response)
}
