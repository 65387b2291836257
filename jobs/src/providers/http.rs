//! HTTP clients: one for ordinary calls, one for effects; and the API of one provider.

use std::{
    convert::Infallible,
    io,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use reqwest::{RequestBuilder, header::HeaderMap};
use serde::de::DeserializeOwned;

use super::{Failure, Provider, ProviderError, wait};
use crate::{
    engine::{Deadline, ProviderClock},
    ids::AccountId,
};

/// Some providers refuse whoever does not name itself.
const USER_AGENT: &str = "linecook";

/// More bytes than any answer has.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

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
        .user_agent(USER_AGENT)
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
        .user_agent(USER_AGENT)
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

/// What a provider answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The provider's clock, as the answer shows it.
    pub(super) clock: Option<ProviderClock>,
}

impl Answer {
    /// Whether its status says that all is well.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The HTTP API of a provider: its errors name the provider and, for an account's calls, the account.
#[derive(Debug, Clone)]
pub(super) struct Api {
    provider: Provider,
    account_id: Option<AccountId>,
    pub(super) client: reqwest::Client,
    /// What an answer says went wrong, if something did.
    failure_of: fn(&Answer) -> Option<Failure>,
}

impl Api {
    pub(super) fn new(provider: Provider, failure_of: fn(&Answer) -> Option<Failure>) -> Self {
        Self { provider, account_id: None, client: client(), failure_of }
    }

    /// The same for calls that concern an account.
    pub(super) fn on_account(&self, account_id: AccountId) -> Self {
        Self { account_id: Some(account_id), ..self.clone() }
    }

    /// An error of this provider.
    pub(super) fn error(&self, failure: Failure) -> ProviderError {
        ProviderError { provider: self.provider, account_id: self.account_id, failure }
    }

    /// Sends a request by its own client; answers whatever comes back.
    pub(super) async fn exchange(&self, request: RequestBuilder) -> Result<Answer, ProviderError> {
        receive(request).await.map_err(|failure| self.error(failure))
    }

    /// What an answer is good for.
    pub(super) fn check(&self, answer: Answer) -> Result<Answer, ProviderError> {
        (self.failure_of)(&answer).map_or(Ok(answer), |failure| Err(self.error(failure)))
    }

    /// Sends a request; answers what comes back if it is good.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, ProviderError> {
        self.check(self.exchange(request).await?)
    }

    /// Reads the JSON of an answer.
    pub(super) fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ProviderError> {
        serde_json::from_slice(body).map_err(|_| self.error(Failure::unexpected()))
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
    Ok(Answer { status, headers, body: body.freeze(), clock })
}
