//! Responses on their way out. The budget bounds their memory.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Response;
use poem::IntoResponse as _;

use super::socket::RunningRequest;
use crate::{
    ApiError,
    budgets::{Budget, Held},
    http::{Guarded, Inner, Shared},
};

/// The bytes of a response with their part of the budget. The server keeps them until they are
/// sent.
struct Counted {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Ties a response to its request, and its bytes to the budget. Streams, and responses whose bytes
/// all clients share, take nothing of the budget.
pub(super) fn hold(response: poem::Response, running: RunningRequest, memory: &Budget) -> Response<Inner> {
    let is_shared = response.extensions().get::<Shared>().is_some();
    let (parts, body) = Response::<Inner>::from(response).into_parts();
    let size_bytes = http_body::Body::size_hint(&body).exact().filter(|_| !is_shared).unwrap_or(0);
    if size_bytes == 0 {
        let body = Guarded::new(body.into(), running).boxed();
        return Response::from_parts(parts, body);
    }
    let Ok(held) = usize::try_from(size_bytes).map_err(|_| ApiError::busy()).and_then(|size| memory.try_take(size))
    else {
        return Response::from(ApiError::busy().into_response()).map(|body: Inner| {
            let body: poem::Body = body.into();
            Guarded::new(body, running).boxed()
        });
    };
    let mut held = Some(held);
    let body = body.map_frame(move |frame| {
        frame.map_data(|bytes| match held.take() {
            Some(held) => Bytes::from_owner(Counted { bytes, _held: held }),
            None => bytes,
        })
    });
    let body: poem::Body = body.boxed().into();
    Response::from_parts(parts, Guarded::new(body, running).boxed())
}
