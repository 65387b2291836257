//! `OpenAI`: chat completions that satisfy the requested schema.

mod error;
mod generate;
mod prompt;
mod request;
mod schema;
mod wording;

use poem::http::header;
use poem::{Body, Request, Response, handler};
use serde_json::{Value, json};

use crate::faults::Scenario;
use crate::openai::error::OpenAiError;
use crate::openai::generate::Generator;
use crate::openai::request::{Answer, ChatRequest};
use crate::operation::Operation;
use crate::provider::Incoming;
use crate::tokens::random_text;

/// NUL and a lone surrogate, escaped for a text, and for a text within a text.
const UNSTORABLE_ESCAPES: &str = r"\u0000\ud83c\\u0000\\ud83c";

const REFUSAL: &str = "I'm sorry, I can't assist with that request.";

/// Handles everything under `/{world}/openai`, of which chat completions and the list of models
/// exist.
#[handler]
pub(crate) async fn serve(request: &Request, body: Body) -> Response {
    let incoming = match Incoming::read(request, body).await {
        Ok(incoming) => incoming,
        Err(response) => return response,
    };
    if incoming.segments() == ["v1", "models"] && incoming.method == "GET" {
        return incoming.answer(Operation::ListModels, |incoming, _| async move { models(&incoming) }).await;
    }
    if incoming.segments() != ["v1", "chat", "completions"] {
        let error = OpenAiError::unknown_address(&incoming.method, &incoming.path);
        return incoming.answer(Operation::Unknown, |_, _| async { error.into_response() }).await;
    }
    incoming.answer(Operation::ChatCompletion, chat_completion).await
}

fn models(incoming: &Incoming) -> Response {
    if let Err(error) = check_key(incoming) {
        return error.into_response();
    }
    let models = ["gpt-4o", "gpt-4o-mini"].map(|id| json!({"id": id, "object": "model", "owned_by": "system"}));
    let body = json!({"object": "list", "data": models});
    Response::builder().content_type("application/json").body(body.to_string())
}

async fn chat_completion(incoming: Incoming, scenario: Option<Scenario>) -> Response {
    let mut response = match complete(&incoming, scenario) {
        Ok(json) => {
            let body = json.to_string().replace(generate::UNSTORABLE, UNSTORABLE_ESCAPES);
            Response::builder().content_type("application/json").body(body)
        }
        Err(error) => error.into_response(),
    };
    let headers = [
        ("x-request-id", format!("req_{}", random_text(32).to_lowercase())),
        ("openai-version", "2020-10-01".to_owned()),
        ("openai-processing-ms", "12".to_owned()),
        ("x-ratelimit-limit-requests", "10000".to_owned()),
        ("x-ratelimit-remaining-requests", "9999".to_owned()),
        ("x-ratelimit-reset-requests", "6ms".to_owned()),
        ("x-ratelimit-limit-tokens", "2000000".to_owned()),
        ("x-ratelimit-remaining-tokens", "1999000".to_owned()),
        ("x-ratelimit-reset-tokens", "30ms".to_owned()),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("the values are plain ASCII"));
    }
    response
}

fn complete(incoming: &Incoming, scenario: Option<Scenario>) -> Result<Value, OpenAiError> {
    if incoming.method != "POST" {
        return Err(OpenAiError::unknown_address(&incoming.method, &incoming.path));
    }
    check_key(incoming)?;
    let reject_temperature = incoming.world.lock().switches.reject_temperature;
    let request = ChatRequest::parse(&incoming.body, reject_temperature)?;
    match scenario {
        Some(Scenario::RateLimited) => return Err(OpenAiError::rate_limited()),
        Some(Scenario::InsufficientQuota) => return Err(OpenAiError::insufficient_quota()),
        Some(Scenario::ServerError) => return Err(OpenAiError::server_error()),
        Some(
            Scenario::Refusal
            | Scenario::Truncated
            | Scenario::ContentFilter
            | Scenario::InvalidJson
            | Scenario::Slow
            | Scenario::WrongCount
            | Scenario::LongCaption
            | Scenario::ManyHashtags
            | Scenario::UnstorableText,
        )
        | None => {}
    }
    let created = incoming.world.lock().now().timestamp();
    Ok(completion(&request, &Reply::of(&request, scenario), created))
}

/// The model's reply to a request.
struct Reply {
    content: Option<String>,
    refusal: Option<&'static str>,
    finish_reason: &'static str,
}

impl Reply {
    fn of(request: &ChatRequest, scenario: Option<Scenario>) -> Self {
        let written = write(request, scenario);
        let half = written.chars().count() / 2;
        let (content, refusal, finish_reason) = match scenario {
            Some(Scenario::Refusal) => (None, Some(REFUSAL), "stop"),
            Some(Scenario::Truncated) => (Some(cut(&written, half)), None, "length"),
            Some(Scenario::ContentFilter) => (Some(String::new()), None, "content_filter"),
            Some(Scenario::InvalidJson) => (Some(format!("Sure! Here it is:\n```json\n{written}\n```")), None, "stop"),
            Some(
                Scenario::RateLimited
                | Scenario::InsufficientQuota
                | Scenario::ServerError
                | Scenario::Slow
                | Scenario::WrongCount
                | Scenario::LongCaption
                | Scenario::ManyHashtags
                | Scenario::UnstorableText,
            )
            | None => within_limit(written, request.token_limit),
        };
        Self { content, refusal, finish_reason }
    }
}

fn write(request: &ChatRequest, scenario: Option<Scenario>) -> String {
    match &request.answer {
        Answer::Text => Generator::new(request, scenario).caption(),
        Answer::AnyJson => json!({"answer": Generator::new(request, scenario).caption()}).to_string(),
        Answer::Schema(schema) => Generator::new(request, scenario).value(schema).to_string(),
    }
}

fn within_limit(written: String, limit: Option<usize>) -> (Option<String>, Option<&'static str>, &'static str) {
    let needed = count_tokens(&written);
    match limit {
        Some(limit) if limit < needed => {
            let kept = written.chars().count() * limit / needed;
            (Some(cut(&written, kept)), None, "length")
        }
        Some(_) | None => (Some(written), None, "stop"),
    }
}

fn completion(request: &ChatRequest, outcome: &Reply, created: i64) -> Value {
    let prompt_tokens = count_tokens(&request.prompt);
    let answered = outcome.content.as_deref().or(outcome.refusal).unwrap_or_default();
    let completion_tokens = count_tokens(answered);
    json!({
        "id": format!("chatcmpl-{}", random_text(29)),
        "object": "chat.completion",
        "created": created,
        "model": request.model,
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant",
                "content": outcome.content,
                "refusal": outcome.refusal,
                "annotations": [],
            },
            "logprobs": null,
            "finish_reason": outcome.finish_reason,
        }],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": null,
    })
}

fn check_key(incoming: &Incoming) -> Result<(), OpenAiError> {
    let header = incoming.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim) {
        None | Some("") => Err(OpenAiError::missing_key()),
        Some("sk-bad") => Err(OpenAiError::invalid_key()),
        Some(key) => match &incoming.world.lock().switches.api_key {
            Some(only) if only != key => Err(OpenAiError::invalid_key()),
            Some(_) | None => Ok(()),
        },
    }
}

/// Estimates the number of tokens: four tokens for three words.
fn count_tokens(text: &str) -> usize {
    (text.split_whitespace().count() * 4).div_ceil(3)
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
