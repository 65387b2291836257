//! Reads bodies: only from callers who may send one, up to a limit of size and time.

use std::{io, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use jobs::assets::MAX_UPLOAD_BYTES;
use poem::{
    Endpoint, IntoResponse as _, Request, Response,
    http::{HeaderValue, header},
};

use super::{
    form::Form,
    operations::{Operation, Operations},
};
use crate::{
    ApiError,
    auth::{self, Identity},
    budgets::{Budget, Held},
    error::{self, ErrorCode},
    state::AppState,
};

/// The limit of an upload: a picture and the form around it.
const UPLOAD_BYTES: usize = MAX_UPLOAD_BYTES + 64 * 1024;

/// The limit of JSON.
const JSON_BYTES: usize = 256 * 1024;

/// The limit of a body without credentials, such as a form to sign in.
const ANONYMOUS_BYTES: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The part of a refused body that is read away, and the time for that. A sender that still sends
/// then sees the response.
const DISCARDED_BYTES: usize = 32 * 1024 * 1024;
const DISCARDED_FOR: Duration = Duration::from_secs(5);

/// The factor by which an upload may take longer than another body.
const UPLOAD_PATIENCE: u32 = 10;

/// Refuses callers who may not call the operation. Only then it reads the body, up to the
/// operation's limit.
pub(crate) async fn read<E: Endpoint>(
    endpoint: E,
    mut request: Request,
    (operations, state): (Arc<Operations>, AppState),
) -> poem::Result<Response> {
    let operation = operations.find(request.method(), request.uri().path());
    if let Some(operation) = operation.filter(|operation| operation.takes_credentials)
        && let Err(refused) = auth::admit(&mut request, operation.required)
    {
        discard_body(&mut request);
        return Ok(refused.into_response());
    }
    if let Err(refused) = check_encoding(&request) {
        discard_body(&mut request);
        return Ok(refused.into_response());
    }
    let (limit_bytes, time) = bounds(&request, operation, state.http.body_time);
    if request
        .header(header::CONTENT_LENGTH)
        .and_then(|length| length.parse().ok())
        .is_some_and(|sent: usize| sent > limit_bytes)
    {
        discard_body(&mut request);
        return Ok(ApiError::too_large(limit_bytes).into_response());
    }
    let body = request.take_body();
    let has_body = !body.is_empty();
    let is_form = operation.is_some_and(|operation| operation.takes_upload)
        && request.content_type().is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/"));
    let mut held = None;
    let mut chunks: Chunks = Box::pin(body.into_bytes_stream());
    let kind = request.content_type().unwrap_or_default().to_owned();
    let reading = async {
        if is_form {
            let form = Form::read(&mut chunks, &kind, limit_bytes, &state.budgets.uploads).await?;
            request.extensions_mut().insert(form);
        } else if has_body {
            let (bytes, part) = collect(&mut chunks, limit_bytes, &state.budgets.bodies).await?;
            request.set_body(bytes);
            held = part;
        }
        Ok(())
    };
    match tokio::time::timeout(time, reading).await {
        Ok(Ok(())) => {}
        Ok(Err(refused)) => {
            discard(chunks);
            let refused: ApiError = refused;
            return Ok(refused.into_response());
        }
        Err(_) => return Ok(ApiError::too_slow().into_response()),
    }
    let answered = endpoint.call(request).await;
    drop(held);
    match answered {
        Ok(response) => Ok(response.into_response()),
        Err(error) => Ok(error::from_framework(error)),
    }
}

/// Refuses compressed bodies: a few bytes may become any number.
fn check_encoding(request: &Request) -> Result<(), ApiError> {
    let encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    let is_plain = encodings.map(HeaderValue::as_bytes).all(|encoding| encoding.eq_ignore_ascii_case(b"identity"));
    if is_plain { Ok(()) } else { Err(ApiError::encoded()) }
}

/// Returns the limit of bytes and of time.
fn bounds(request: &Request, operation: Option<&Operation>, time: Duration) -> (usize, Duration) {
    let is_known = request.extensions().get::<Arc<Identity>>().is_some();
    match operation {
        // The caller has the permission for the operation by now.
        Some(operation) if operation.takes_upload && is_known => (UPLOAD_BYTES, time.saturating_mul(UPLOAD_PATIENCE)),
        Some(_) | None if is_known => (JSON_BYTES, time),
        Some(_) | None => (ANONYMOUS_BYTES, time),
    }
}

type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

async fn collect(
    chunks: &mut Chunks,
    limit_bytes: usize,
    memory: &Budget,
) -> Result<(Vec<u8>, Option<Held>), ApiError> {
    let (mut bytes, mut held) = (Vec::new(), None::<Held>);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk
            .map_err(|error| ApiError::bad_request(ErrorCode::Malformed, format!("The body broke off: {error}.")))?;
        if bytes.len() + chunk.len() > limit_bytes {
            return Err(ApiError::too_large(limit_bytes));
        }
        let more = memory.try_take(chunk.len())?;
        match &mut held {
            Some(held) => held.add(more),
            None => held = Some(more),
        }
        bytes.extend_from_slice(&chunk);
    }
    // Some editors write this mark at the beginning. It means nothing in UTF-8.
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok((bytes, held))
}

/// Discards a body. A sender that asks before it sends gets the response at once. Any other sender
/// goes on sending, and would find its connection reset before it sees the response. So its body is
/// read away for a while.
pub(super) fn discard_body(request: &mut Request) {
    let body = request.take_body();
    if request.headers().get(header::EXPECT).is_none() && !body.is_empty() {
        discard(Box::pin(body.into_bytes_stream()));
    }
}

fn discard<T, F>(mut chunks: impl Stream<Item = Result<T, F>> + Unpin + Send + 'static)
where
    T: AsRef<[u8]> + Send,
    F: Send,
{
    tokio::spawn(tokio::time::timeout(DISCARDED_FOR, async move {
        let mut left = DISCARDED_BYTES;
        while let Some(Ok(chunk)) = chunks.next().await {
            match left.checked_sub(chunk.as_ref().len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    }));
}
