//! Tests of following the board.

use std::time::Duration;

use admin::Pace;
use jobs::noop::Noop;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer, setting};

use super::stream::{Message, Stream};

async fn app(pool: PgPool) -> TestApp {
    let pace = Pace { board: Duration::from_millis(50), ..Pace::default() };
    TestApp::with_pace(pool, &setting("REDIS_URL"), pace).await
}

async fn open(app: &TestApp, filter: &str) -> Stream {
    Stream::of(app.request(Method::GET, "/api/v1/board/events").query(&[("filter", filter)]), None).await
}

/// Returns the next message of a type.
async fn next(stream: &mut Stream, event: &str) -> Message {
    loop {
        let message = stream.next().await.unwrap();
        if message.event == event {
            return message;
        }
    }
}

/// Returns the first message of each type, which come in any order.
async fn whole(stream: &mut Stream) -> (Value, Value) {
    let (one, other) = (stream.next().await.unwrap(), stream.next().await.unwrap());
    assert_ne!(one.event, other.event);
    if one.event == "board" { (one.data, other.data) } else { (other.data, one.data) }
}

fn ids(jobs: &Value) -> Vec<&str> {
    jobs.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stream_begins_with_everything_and_goes_on_with_changes(pool: PgPool) {
    let app = app(pool).await;
    let (first, second) = (app.bench.enqueue(&Noop::default()).await, app.bench.enqueue(&Noop::default()).await);
    let mut waiting = open(&app, r#"{"state": "available"}"#).await;
    let mut all = open(&app, r#"{"kind": "noop"}"#).await;
    for stream in [&mut waiting, &mut all] {
        let (board, jobs) = whole(stream).await;
        assert_eq!(board["board"]["queues"]["default"]["available"]["count"], json!(2));
        assert_eq!(ids(&jobs["jobs"]), [second.to_string(), first.to_string()]);
    }
    app.bench.run(first).await;
    let change = next(&mut waiting, "jobs").await.data;
    assert_eq!((&change["jobs"], &change["gone"]), (&json!([]), &json!([first])));
    let change = loop {
        let change = next(&mut all, "jobs").await.data;
        if change["jobs"][0]["state"] == "completed" {
            break change;
        }
    };
    assert_eq!((ids(&change["jobs"]), &change["gone"]), (vec![first.to_string().as_str()], &json!([])));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_is_revoked_sees_the_board_no_more(pool: PgPool) {
    let app = app(pool).await;
    let mut stream = open(&app, "{}").await;
    next(&mut stream, "board").await;
    app.bench.execute("update api_keys set revoked_at = now() where tenant_id = $1", uuid::Uuid::nil()).await;
    stream.rest().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_board_is_for_operators_and_its_filter_is_checked(pool: PgPool) {
    let app = app(pool).await;
    for filter in ["x", r#"{"state": "done"}"#, r#"{"nope": 1}"#] {
        let request = app.request(Method::GET, "/api/v1/board/events").query(&[("filter", filter)]);
        let (status, problem) = answer(request).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("bad_filter")), "{problem}");
    }
    let (_, key) = app
        .post("/api/v1/api-keys", json!({ "tenant_id": app.bench.tenant_id, "name": "x", "permissions": ["*"] }))
        .await;
    let request = app.anonymous(Method::GET, "/api/v1/board/events").bearer_auth(key["key"].as_str().unwrap());
    let (status, problem) = answer(request).await;
    assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("operators_only")));
    let mut streams = Vec::new();
    for number in 0..32 {
        let filter = if number < 16 { json!({ "kind": format!("k{number}") }) } else { json!({ "kind": "k0" }) };
        streams.push(open(&app, &filter.to_string()).await);
    }
    let request = app.request(Method::GET, "/api/v1/board/events");
    assert_eq!(answer(request).await.0.as_u16(), 503, "one caller has so many");
}
