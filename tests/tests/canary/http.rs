//! A client that keeps every answer.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::{search::Artifact, secrets::Secrets};

/// Calls the admin, each time from another address, as of somebody else: how often one may try is not what is tried here.
#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    pub(crate) url: String,
    answers: Mutex<Vec<Artifact>>,
}

/// An answer that was kept.
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

    /// A text in the answer's JSON.
    pub(crate) fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.text)).to_owned()
    }

    /// The value of the cookie that is set, with its name: `name=value`.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self.headers["set-cookie"].to_str().expect("a text");
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

    /// Sends a request and keeps what is answered, headers included.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("a request");
        let path: String = request.url().path().chars().take(40).collect();
        let what = format!("{} {path}", request.method());
        let response = self.client.execute(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = String::from_utf8_lossy(&response.bytes().await.expect("a body")).into_owned();
        let mut answers = self.lock();
        let index = answers.len();
        answers.push(Artifact::new(&format!("answer {index} to {what}"), format!("{status} {headers:?}\n{text}")));
        Answer { index, status, headers, text }
    }

    /// Keeps what a stream of events brings within a second and a half.
    pub(crate) async fn listen(&self, request: RequestBuilder) {
        let mut response = request.send().await.expect("an answer");
        let mut heard = Vec::new();
        let listening = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                heard.extend_from_slice(&chunk);
            }
        };
        // Whether or not it has ended.
        let _ = tokio::time::timeout(Duration::from_millis(1500), listening).await;
        self.lock().push(Artifact::new("a stream of events", heard));
    }

    /// A secret that an answer hands out, and that may therefore be in it.
    pub(crate) fn hands_out(&self, secrets: &Secrets, answer: &Answer, name: &str, value: &str) -> String {
        secrets.keep(name, value);
        self.may_hold(secrets, answer, value);
        value.to_owned()
    }

    /// Says that an answer may hold a secret.
    pub(crate) fn may_hold(&self, secrets: &Secrets, answer: &Answer, value: &str) {
        assert!(answer.text.contains(value) || format!("{:?}", answer.headers).contains(value), "it holds it");
        self.lock()[answer.index].may_hold.insert(secrets.index(value));
    }

    /// What was answered so far.
    pub(crate) fn take(&self) -> Vec<Artifact> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Artifact>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
