//! HTTP clients, one for ordinary calls and one for effects, and the API of a provider.

use std::{
    borrow::Cow,
    convert::Infallible,
    io,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use reqwest::{RequestBuilder, header::HeaderMap};
use serde::de::DeserializeOwned;

use super::{Failure, Provider, ProviderError, storable::storable, wait};
use crate::{
    engine::{Deadline, ProviderClock},
    ids::AccountId,
};

/// The user agent. Some providers reject requests without one.
const USER_AGENT: &str = "linecook";

/// The maximum size of a response, larger than any that is expected.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// The number of bytes between two checks of the deadline.
const CHUNK_BYTES: usize = 16 * 1024;

/// Returns a client for calls that may be repeated.
///
/// # Panics
/// If the TLS backend cannot be set up, which the build decides.
#[must_use]
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(USER_AGENT)
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        .build()
        .expect("the TLS backend is built in")
}

/// Returns a client for calls that must not happen twice. It never retries a request and never
/// follows a redirect.
///
/// It never reuses an idle connection either, because that may turn out dead after the bytes were
/// sent.
///
/// # Panics
/// As [`client`].
#[must_use]
pub fn effect_client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(USER_AGENT)
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .connect_timeout(Duration::from_secs(5))
        .build()
        .expect("the TLS backend is built in")
}

/// Returns a body that stops once the deadline has passed, so that a process that was suspended
/// meanwhile sends nothing late.
///
/// The deadline is checked before every chunk; the write follows within microseconds.
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

/// A response of a provider.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The body, whose texts can be stored.
    pub(super) body: Bytes,
    /// The provider's clock, according to the response.
    pub(super) clock: Option<ProviderClock>,
}

impl Answer {
    /// Returns true if the status means success.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The HTTP API of a provider. Its errors name the provider and, for an account's calls, the
/// account.
#[derive(Debug, Clone)]
pub(super) struct Api {
    provider: Provider,
    account_id: Option<AccountId>,
    pub(super) client: reqwest::Client,
    /// Returns the failure that a response reports, if any.
    failure_of: fn(&Answer) -> Option<Failure>,
}

impl Api {
    pub(super) fn new(provider: Provider, failure_of: fn(&Answer) -> Option<Failure>) -> Self {
        Self { provider, account_id: None, client: client(), failure_of }
    }

    /// Returns the same API for calls that concern an account.
    pub(super) fn on_account(&self, account_id: AccountId) -> Self {
        Self { account_id: Some(account_id), ..self.clone() }
    }

    /// Returns an error of this provider.
    pub(super) fn error(&self, failure: Failure) -> ProviderError {
        ProviderError { provider: self.provider, account_id: self.account_id, failure }
    }

    /// Sends a request with the request's own client, and returns any response.
    pub(super) async fn exchange(&self, request: RequestBuilder) -> Result<Answer, ProviderError> {
        receive(request).await.map_err(|failure| self.error(failure))
    }

    /// Returns a successful response, or the failure that it reports.
    pub(super) fn check(&self, answer: Answer) -> Result<Answer, ProviderError> {
        (self.failure_of)(&answer).map_or(Ok(answer), |failure| Err(self.error(failure)))
    }

    /// Sends a request, and returns a successful response.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, ProviderError> {
        self.check(self.exchange(request).await?)
    }

    /// Reads the JSON of a response.
    pub(super) fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ProviderError> {
        serde_json::from_slice(&storable(body)).map_err(|_| self.error(Failure::unexpected()))
    }
}

async fn receive(request: RequestBuilder) -> Result<Answer, Failure> {
    let asked = Instant::now();
    let mut answer = request.send().await.map_err(Failure::from_reqwest)?;
    let answered = Instant::now();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(Failure::from_reqwest)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            return Err(Failure::UnexpectedResponse { status, wait: None });
        }
    }
    let clock = wait::date(&headers).map(|date| ProviderClock { date, asked, answered });
    let body = match storable(&body) {
        Cow::Borrowed(_) => body.freeze(),
        Cow::Owned(body) => body.into(),
    };
    Ok(Answer { status, headers, body, clock })
}
