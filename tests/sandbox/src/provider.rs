//! A request to a provider: it is read, counted and handled, with the planned fault applied.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Body, Request, Response};
use serde_json::Value;
use tokio::time::sleep;

use crate::connection::Connections;
use crate::faults::{CannedAnswer, CannedBody, Drop, Fault, Scenario};
use crate::meta::{GraphError, page_of_path};
use crate::operation::Operation;
use crate::world::{SharedWorld, Worlds};

const LARGEST_BODY_BYTES: usize = 12 * 1024 * 1024;
/// The number of bytes of a body that are quoted.
const QUOTED_BYTES: usize = 500;
/// The fields of Graph's response to a write without requested fields.
const RESULT: [&str; 3] = ["id", "post_id", "success"];
/// A pause long enough for the server to send the first part before the rest fails.
const TRUNCATION_PAUSE: Duration = Duration::from_millis(50);

/// A request with its whole body.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) world: SharedWorld,
    /// Scheme, host and world: the start of the addresses in responses.
    pub(crate) base_url: String,
    pub(crate) method: String,
    /// The path after the provider's name, as it was sent.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The path with world and provider.
    pub(crate) full_path: String,
    peer: Option<SocketAddr>,
    connections: Connections,
}

impl Incoming {
    /// Reads a request that was routed by `/:world/{provider}/*path`.
    ///
    /// # Errors
    /// Returns the response to send if the world does not exist, or if the body is too large or
    /// incomplete.
    pub(crate) async fn read(request: &Request, body: Body) -> Result<Self, Response> {
        let plain = |status: StatusCode, text: &'static str| Response::builder().status(status).body(text);
        let name = request.raw_path_param("world").unwrap_or_default();
        let worlds = request.data::<Worlds>().expect("the server provides its worlds");
        let world = worlds.enter(name).ok_or_else(|| plain(StatusCode::NOT_FOUND, "no such world"))?;
        let connections = request.data::<Connections>().expect("the server provides its connections");
        let host = request.header(header::HOST).unwrap_or_default();
        let body = body
            .into_bytes_limit(LARGEST_BODY_BYTES)
            .await
            .map_err(|_| plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or did not arrive"))?;
        Ok(Self {
            world,
            base_url: format!("http://{host}/{name}"),
            method: request.method().as_str().to_owned(),
            path: request.raw_path_param("path").unwrap_or_default().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            body,
            full_path: request.original_uri().path().to_owned(),
            peer: request.remote_addr().as_socket_addr().copied(),
            connections: connections.clone(),
        })
    }

    /// Returns the parts of the path.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }

    /// Returns true if a fault of this call's operation applies to it.
    pub(crate) fn is_meant_by(&self, fault: &Fault) -> bool {
        let of_page = |page_id: &String| {
            let parts = self.segments();
            parts.iter().any(|part| part.split('_').next() == Some(page_id.as_str()))
        };
        fault.page_id.as_ref().is_none_or(of_page) && fault.containing.as_deref().is_none_or(|text| self.contains(text))
    }

    /// Returns true if the query or the body contains this text, as it is or percent-encoded.
    fn contains(&self, text: &str) -> bool {
        let has = |bytes: &[u8]| {
            let decoded = url::form_urlencoded::parse(bytes).any(|(_, value)| value.contains(text));
            decoded || String::from_utf8_lossy(bytes).contains(text)
        };
        has(self.query.as_bytes()) || has(&self.body)
    }

    /// Returns the call's credentials: header, query and the start of the body.
    fn credentials(&self) -> String {
        let authorization = self.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let start = &self.body[..self.body.len().min(QUOTED_BYTES)];
        let body = String::from_utf8_lossy(start);
        format!("authorization={} '{body}' query={}", authorization.unwrap_or_default(), self.query)
    }

    /// Counts the call as `operation`, and returns the response of `handle` or of the fault plan.
    ///
    /// It continues if the caller disconnects: a provider that has the whole request does not
    /// notice who still waits.
    pub(crate) async fn answer<H, F>(self, operation: Operation, handle: H) -> Response
    where
        H: FnOnce(Self, Option<Scenario>) -> F + Send + 'static,
        F: Future<Output = Response> + Send,
    {
        let (seq, fault) = self.world.lock().begin_call(operation, &self);
        let task = tokio::spawn(async move {
            let (world, connections, peer) = (self.world.clone(), self.connections.clone(), self.peer);
            let response = match fault {
                Some(fault) => under(fault, self, handle).await,
                None => Some(handle(self, None).await),
            };
            let status = response.as_ref().map(|response| response.status().as_u16());
            let mut world = world.lock();
            world.calls.finish(operation, seq, status);
            if response.is_none() {
                peer.inspect(|peer| connections.cut(*peer));
            }
            dated(response.unwrap_or_default(), world.clock.shown())
        });
        task.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into())
    }
}

/// Handles a call under a fault. Returns `None` if its connection must be cut.
async fn under<H, F>(fault: Fault, incoming: Incoming, handle: H) -> Option<Response>
where
    H: FnOnce(Incoming, Option<Scenario>) -> F,
    F: Future<Output = Response>,
{
    if let Some(delay_ms) = fault.delay_ms {
        sleep(Duration::from_millis(delay_ms)).await;
    }
    if fault.drop == Some(Drop::Before) {
        return None;
    }
    let answer = fault.answer().map(|answer| answer.quoting(&incoming.credentials()));
    let page_id = page_of_path(&incoming.world.lock(), &incoming.segments());
    let mut response = match answer {
        Some(answer) if !fault.after_effect => canned(answer, None),
        Some(answer) => {
            let real = handle(incoming, fault.scenario).await;
            if fault.has_original_response() { with_original(answer, real).await } else { canned(answer, None) }
        }
        None => handle(incoming, fault.scenario).await,
    };
    response.headers_mut().extend(fault.headers().unwrap_or_default());
    if let Some(usage) = &fault.usage {
        usage.put_on(&mut response, page_id.as_deref());
    }
    if let Some(delay_ms) = fault.reply_delay_ms {
        sleep(Duration::from_millis(delay_ms)).await;
    }
    match (fault.drop, fault.truncate_body) {
        (Some(Drop::Before | Drop::After), _) => None,
        (None, Some(size_bytes)) => Some(truncated(response, size_bytes).await),
        (None, None) => Some(response),
    }
}

/// Returns the response with the world's time in `Date`.
fn dated(mut response: Response, shown: DateTime<Utc>) -> Response {
    let date = shown.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Returns the planned error with the call's real response in it, or the real response if the call
/// failed.
async fn with_original(answer: CannedAnswer, mut real: Response) -> Response {
    if !real.is_success() {
        return real;
    }
    let body = real.take_body().into_bytes().await.unwrap_or_default();
    let mut original: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(members) = original.as_object_mut() {
        members.retain(|name, _| RESULT.contains(&name.as_str()));
    }
    canned(answer, Some(original))
}

fn canned(answer: CannedAnswer, original: Option<Value>) -> Response {
    let mut response = match answer.body {
        CannedBody::Text(text) => Response::builder().content_type("text/html; charset=utf-8").body(text),
        CannedBody::Json(json) => Response::builder().content_type("application/json").body(json.to_string()),
        CannedBody::Graph(error) => GraphError::planned(&error, original).into_response(),
    };
    response.set_status(answer.status);
    response
}

/// Announces the whole body, sends its first bytes, and breaks off.
async fn truncated(mut response: Response, size_bytes: usize) -> Response {
    let whole = response.take_body().into_bytes().await.unwrap_or_default();
    let part = whole.slice(..size_bytes.min(whole.len().saturating_sub(1)));
    response.headers_mut().insert(header::CONTENT_LENGTH, whole.len().into());
    let rest = stream::once(async {
        sleep(TRUNCATION_PAUSE).await;
        Err(std::io::Error::other("truncated by the fault plan"))
    });
    let chunks = stream::StreamExt::chain(stream::iter([Ok::<_, std::io::Error>(part)]), rest);
    response.set_body(Body::from_bytes_stream(chunks));
    response
}
