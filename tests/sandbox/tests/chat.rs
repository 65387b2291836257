//! Tests of chat completions: validation, structured replies, scenarios.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};
use support::{World, json_of};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Calendar {
    theme: String,
    posts: Vec<Post>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Post {
    date: String,
    caption: String,
    tone: String,
    priority: i64,
    score: f64,
    pinned: bool,
    note: Option<String>,
    hashtags: Vec<String>,
    venue: Venue,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Venue {
    seats: i64,
}

fn object(properties: &Value) -> Value {
    let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

fn calendar_schema() -> Value {
    let post = object(&json!({
        "date": {"type": "string", "description": "ISO date"},
        "caption": {"type": "string"},
        "tone": {"type": "string", "enum": ["warm", "bold"]},
        "priority": {"type": "integer", "minimum": 1, "maximum": 5},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "pinned": {"type": "boolean"},
        "note": {"type": ["string", "null"]},
        "hashtags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "venue": {"$ref": "#/$defs/venue"},
    }));
    let mut schema = object(&json!({"theme": {"type": "string"}, "posts": {"type": "array", "items": post}}));
    schema["$defs"] = json!({"venue": object(&json!({"seats": {"anyOf": [{"type": "integer"}]}}))});
    schema
}

fn request(prompt: &str, schema: &Value) -> Value {
    json!({
        "model": "gpt-5-mini",
        "messages": [{"role": "developer", "content": "Plan posts."}, {"role": "user", "content": prompt}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "calendar", "strict": true, "schema": schema},
        },
    })
}

async fn calendar(world: &World, prompt: &str) -> Calendar {
    let answer = json_of(world.chat(&request(prompt, &calendar_schema())).await).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{answer}");
    serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap()
}

async fn refused(world: &World, body: &Value) -> (u16, Value) {
    let response = world.chat(body).await;
    (response.status().as_u16(), json_of(response).await["error"]["code"].take())
}

#[tokio::test]
async fn an_answer_satisfies_its_schema_and_follows_the_prompt() {
    let world = World::start().await;
    let prompt = "Write exactly 12 posts.\nbusiness: Trattoria Aurora\ntopic: ragù\nmonth: 2026-02";
    let calendar = calendar(&world, prompt).await;
    assert_eq!(calendar.posts.len(), 12);
    assert!(!calendar.theme.is_empty());
    assert!(calendar.posts.is_sorted_by_key(|post| post.date.clone()));
    let captions: HashSet<&str> = calendar.posts.iter().map(|post| post.caption.as_str()).collect();
    assert_eq!(captions.len(), 12);
    for post in &calendar.posts {
        assert!(post.date.starts_with("2026-02-"), "{post:?}");
        assert!(post.caption.contains("Trattoria Aurora") && post.caption.contains("ragù"), "{post:?}");
        assert_eq!(post.caption.matches('#').count(), 3, "{post:?}");
        assert!(["warm", "bold"].contains(&post.tone.as_str()) && (1..=5).contains(&post.priority), "{post:?}");
        assert!((0.0..=1.0).contains(&post.score) && post.hashtags.len() == 2 && post.venue.seats > 0, "{post:?}");
    }
    assert!(calendar.posts.iter().any(|post| post.pinned) && calendar.posts.iter().any(|post| post.note.is_some()));
}

#[tokio::test]
async fn given_dates_are_used_in_order() {
    let world = World::start().await;
    let calendar = calendar(&world, "dates: 2026-03-05, 2026-03-07, 2026-03-20").await;
    let dates: Vec<&str> = calendar.posts.iter().map(|post| post.date.as_str()).collect();
    assert_eq!(dates, ["2026-03-05", "2026-03-07", "2026-03-20"]);
}

#[tokio::test]
async fn the_same_prompt_gets_the_same_answer() {
    let world = World::start().await;
    let content = async |prompt: &str| {
        let answer = json_of(world.chat(&request(prompt, &calendar_schema())).await).await;
        answer["choices"][0]["message"]["content"].clone()
    };
    let first = content("business: A").await;
    assert_eq!(first, content("business: A").await);
    assert_ne!(first, content("business: B").await);
}

#[tokio::test]
async fn schemas_that_strict_mode_does_not_take_are_refused() {
    let world = World::start().await;
    let text = json!({"type": "string"});
    let mut open = object(&json!({"a": text}));
    open.as_object_mut().unwrap().remove("additionalProperties");
    let mut optional = object(&json!({"a": text, "b": text}));
    optional["required"] = json!(["a"]);
    let mut deep = text.clone();
    for _ in 0..11 {
        deep = object(&json!({"a": deep}));
    }
    let wrong = [
        open,
        optional,
        deep,
        json!({"type": "array", "items": text}),
        json!({"anyOf": [object(&json!({"a": text}))]}),
        object(&json!({"a": {"type": "string", "minLength": 3}})),
        object(&json!({"a": {"oneOf": [text]}})),
        object(&json!({"a": {}})),
        object(&json!({"a": {"type": "array"}})),
        object(&json!({"a": {"$ref": "#/$defs/none"}})),
        object(&json!({"a": {"type": "string", "format": "uint32"}})),
    ];
    for schema in wrong {
        let refusal = refused(&world, &request("a", &schema)).await;
        assert_eq!(refusal, (400, json!("invalid_json_schema")), "{schema}");
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let world = World::start().await;
    let good = request("a", &calendar_schema());
    let change = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let wrong = [
        (change("model", json!("no-such-model")), 404, json!("model_not_found")),
        (change("model", json!("")), 400, Value::Null),
        (change("messages", json!([])), 400, json!("empty_array")),
        (change("messages", json!([{"role": "boss", "content": "a"}])), 400, json!("invalid_value")),
        (change("messages", json!([{"role": "user"}])), 400, json!("invalid_type")),
        (change("max_tokens", json!(100)), 400, json!("unsupported_parameter")),
        (change("response_fromat", json!({})), 400, json!("unknown_parameter")),
        (change("response_format", json!({"type": "json_object"})), 400, Value::Null),
    ];
    for (body, status, code) in wrong {
        assert_eq!(refused(&world, &body).await, (status, code), "{body}");
    }
    let address = format!("{}/openai/v1/chat/completions", world.base_url);
    let bad = world.http.post(&address).bearer_auth("sk-bad").json(&good).send().await.unwrap();
    assert_eq!((bad.status().as_u16(), json_of(bad).await["error"]["code"].take()), (401, json!("invalid_api_key")));
    assert_eq!(world.http.post(&address).json(&good).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn scenarios_spoil_the_answer() {
    let world = World::start().await;
    let body = request("Write exactly 4 posts", &calendar_schema());
    let spoiled = async |scenario: &str| {
        world.set("faults", json!({"operation": "chat_completion", "nth": 1, "scenario": scenario})).await;
        json_of(world.chat(&body).await).await["choices"][0].take()
    };
    let posts = |choice: &Value| {
        serde_json::from_str::<Calendar>(choice["message"]["content"].as_str().unwrap()).map(|calendar| calendar.posts)
    };
    let refusal = spoiled("refusal").await;
    assert!(refusal["message"]["content"].is_null() && refusal["message"]["refusal"].is_string());
    let truncated = spoiled("truncated").await;
    assert!(truncated["finish_reason"] == "length" && posts(&truncated).is_err());
    assert_eq!(spoiled("content_filter").await["finish_reason"], "content_filter");
    let invalid = spoiled("invalid_json").await;
    assert!(invalid["finish_reason"] == "stop" && posts(&invalid).is_err());
    assert_eq!(posts(&spoiled("wrong_count").await).unwrap().len(), 3);
    assert!(posts(&spoiled("long_caption").await).unwrap()[0].caption.chars().count() > 63_206);
    assert_eq!(posts(&spoiled("many_hashtags").await).unwrap()[0].caption.matches('#').count(), 31);
}

#[tokio::test]
async fn limits_and_failures_come_with_their_codes() {
    let world = World::start().await;
    let body = request("a", &calendar_schema());
    let failed = async |scenario: &str| {
        world.set("faults", json!({"operation": "chat_completion", "scenario": scenario})).await;
        world.chat(&body).await
    };
    let limited = failed("rate_limited").await;
    assert_eq!(limited.headers()["retry-after"], "2");
    assert!(limited.headers().contains_key("x-request-id"));
    assert_eq!(
        (limited.status().as_u16(), json_of(limited).await["error"]["code"].take()),
        (429, json!("rate_limit_exceeded"))
    );
    let unpaid = failed("insufficient_quota").await;
    assert!(!unpaid.headers().contains_key("retry-after"));
    assert_eq!(json_of(unpaid).await["error"]["type"], "insufficient_quota");
    assert_eq!(failed("server_error").await.status(), 500);
    assert_eq!(world.chat(&body).await.status(), 200);
}

#[tokio::test]
async fn a_token_limit_cuts_the_answer() {
    let world = World::start().await;
    let mut body = request("Write exactly 20 posts", &calendar_schema());
    body["max_completion_tokens"] = json!(50);
    let answer = json_of(world.chat(&body).await).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    let usage = &answer["usage"];
    let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
}

#[tokio::test]
async fn a_plain_request_gets_plain_text() {
    let world = World::start().await;
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "business: Osteria Blu"}]});
    let answer = json_of(world.chat(&body).await).await;
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().contains("Osteria Blu"));
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["system_fingerprint"], Value::Null);
}
