//! An event stream as a client reads it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tests::TestApp;
use uuid::Uuid;

/// The messages of an event stream.
pub(crate) struct Stream {
    answer: Response,
    text: String,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) event: String,
    pub(crate) id: Option<i32>,
    pub(crate) data: Value,
}

impl Stream {
    pub(crate) async fn open(app: &TestApp, job: Uuid, after: Option<i32>) -> Self {
        let request = app.request(Method::GET, &format!("/api/v1/jobs/{job}/events"));
        Self::of(request, after).await
    }

    /// Opens the stream of a request.
    pub(crate) async fn of(request: RequestBuilder, after: Option<i32>) -> Self {
        let request = match after {
            Some(id) => request.header("Last-Event-ID", id),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, text: String::new() }
    }

    /// Returns the next message, or none at the end. Comments are skipped.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                let message = field("data: ").map(|data| Message {
                    event: field("event: ").unwrap_or("message").to_owned(),
                    id: field("id: ").map(|id| id.parse().unwrap()),
                    data: serde_json::from_str(data).unwrap(),
                });
                let rest = rest.to_owned();
                self.text = rest;
                if message.is_some() {
                    return message;
                }
            }
            let chunk = self.chunk().await?;
            self.text.push_str(&chunk);
        }
    }

    /// Returns the next raw chunk, comments included.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let chunk = tokio::time::timeout(Duration::from_mins(1), self.answer.chunk()).await;
        Some(String::from_utf8(chunk.expect("in time").unwrap()?.to_vec()).unwrap())
    }

    pub(crate) async fn rest(mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await {
            messages.push(message);
        }
        messages
    }
}
