//! An HTTP client that keeps every response.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::{search::Artifact, secrets::Secrets};

/// The client of the admin. Each request comes from another address, so that rate limits do not
/// interfere.
#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    pub(crate) url: String,
    answers: Mutex<Vec<Artifact>>,
}

/// A kept response.
#[derive(Debug)]
pub(crate) struct Answer {
    index: usize,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Returns a string in the response's JSON.
    pub(crate) fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.text)).to_owned()
    }

    /// Returns the cookie that the response sets: `name=value`. The one that makes a client known
    /// lets nobody in.
    pub(crate) fn cookie(&self) -> String {
        let cookies = self.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().expect("a text"));
        let cookie =
            cookies.into_iter().find(|cookie| !cookie.starts_with("linecook_known_client=")).expect("a cookie");
        cookie.split(';').next().unwrap_or_default().to_owned()
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

impl Http {
    pub(crate) fn new(url: String) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { client, url, answers: Mutex::default() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let number = self.lock().len();
        let from = format!("10.1.{}.{}", number / 250, number % 250);
        self.client.request(method, format!("{}{path}", self.url)).header("x-forwarded-for", from)
    }

    /// Sends a request and keeps the response, headers included.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("a request");
        let path: String = request.url().path().chars().take(40).collect();
        let what = format!("{} {path}", request.method());
        let response = self.client.execute(request).await.expect("a response");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = String::from_utf8_lossy(&response.bytes().await.expect("a body")).into_owned();
        let mut answers = self.lock();
        let index = answers.len();
        answers.push(Artifact::new(&format!("answer {index} to {what}"), format!("{status} {headers:?}\n{text}")));
        Answer { index, status, headers, text }
    }

    /// Keeps the events of a stream within a second and a half.
    pub(crate) async fn listen(&self, request: RequestBuilder) {
        let mut response = request.send().await.expect("a response");
        let mut heard = Vec::new();
        let listening = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                heard.extend_from_slice(&chunk);
            }
        };
        // The stream may or may not have ended.
        let _ = tokio::time::timeout(Duration::from_millis(1500), listening).await;
        self.lock().push(Artifact::new("a stream of events", heard));
    }

    /// Registers a secret that a response hands out, and that it may therefore contain.
    pub(crate) fn hands_out(&self, secrets: &Secrets, answer: &Answer, name: &str, value: &str) -> String {
        secrets.keep(name, value);
        self.may_hold(secrets, answer, value);
        value.to_owned()
    }

    /// Allows a response to contain a secret.
    pub(crate) fn may_hold(&self, secrets: &Secrets, answer: &Answer, value: &str) {
        assert!(answer.text.contains(value) || format!("{:?}", answer.headers).contains(value), "it contains it");
        self.lock()[answer.index].may_hold.insert(secrets.index(value));
    }

    /// Returns the responses so far.
    pub(crate) fn take(&self) -> Vec<Artifact> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Artifact>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
