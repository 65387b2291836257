//! HTTP clients: one for ordinary calls, one for effects.

use std::{convert::Infallible, io, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use crate::engine::Deadline;

/// Bytes between two looks at the deadline.
const CHUNK_BYTES: usize = 16 * 1024;

/// A client for calls that may be repeated.
///
/// # Panics
/// If the TLS backend cannot be set up, which the build decides.
#[must_use]
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        .build()
        .expect("the TLS backend is built in")
}

/// A client for calls that must not happen twice: it never repeats a request by itself, never sends on a connection that
/// was idle (which may turn out dead after the bytes left) and never follows a redirect.
///
/// # Panics
/// As [`client`].
#[must_use]
pub fn effect_client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .connect_timeout(Duration::from_secs(5))
        .build()
        .expect("the TLS backend is built in")
}

/// A body that refuses to go on once the deadline has passed, so that a process that was stopped in the middle sends
/// nothing late. It is looked at before every chunk; between that look and the write there are microseconds.
#[must_use]
pub fn body_until(deadline: Deadline, bytes: &Bytes) -> reqwest::Body {
    let chunks: Vec<Bytes> =
        (0..bytes.len()).step_by(CHUNK_BYTES).map(|at| bytes.slice(at..bytes.len().min(at + CHUNK_BYTES))).collect();
    reqwest::Body::wrap_stream(stream::iter(chunks).map(Ok::<_, Infallible>).map(move |chunk| {
        let Ok(chunk) = chunk;
        if deadline.left().is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the deadline of this call has passed"));
        }
        Ok(chunk)
    }))
}
