//! A kept response, to be given again.

use poem::{
    IntoResponse, Response, ResponseParts,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};

use crate::ApiError;

/// The status, the headers and the body of a response. It may contain a new API key, and so has no
/// `Debug`.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    pub(super) parts: Parts,
}

/// The parts of a response that are stored, encrypted, beside its status.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Parts {
    content_type: Option<String>,
    location: Option<String>,
    body: String,
}

impl Answer {
    /// Reads a whole response.
    pub(crate) async fn of(response: Response) -> Result<Self, ApiError> {
        let (parts, body) = response.into_parts();
        let body = body.into_bytes().await.map_err(ApiError::internal)?;
        Ok(Self::copied(&parts, &body))
    }

    /// Copies the parts of a response to keep. Its body is text, as in all responses to writes.
    pub(super) fn copied(of: &ResponseParts, body: &[u8]) -> Self {
        let text = |name: HeaderName| of.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let parts = Parts {
            content_type: text(header::CONTENT_TYPE),
            location: text(header::LOCATION),
            body: String::from_utf8_lossy(body).into_owned(),
        };
        Self { status: of.status, parts }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Parts { content_type, location, body } = self.parts;
        let mut response = Response::builder().status(self.status);
        for (name, value) in [(header::CONTENT_TYPE, content_type), (header::LOCATION, location)] {
            if let Some(value) = value {
                response = response.header(name, value);
            }
        }
        response.body(body)
    }
}
