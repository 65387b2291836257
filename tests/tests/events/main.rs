//! Tests of following a job from outside, and of the list of periodic jobs.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod board;
mod pace;
mod stream;

use std::time::{Duration, Instant};

use jobs::{
    engine::{Done, Engine, Job, JobContext, JobError, Kind, Level, Queue, Retry, Window},
    kinds::PERIODIC,
    noop::Noop,
    queues,
    services::Services,
    tenants::{self, permissions::Permissions},
};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, answer, setting};
use uuid::Uuid;

use self::stream::{Message, Stream};

/// A job that logs three messages, a while apart.
#[derive(Debug, Serialize, Deserialize)]
struct Talk {}

impl Job for Talk {
    type Services = Services;

    const KIND: &'static str = "talk";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::QUICK;

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        cx.log(Level::Info, "begins");
        tokio::time::sleep(Duration::from_millis(600)).await;
        cx.progress(1, 2, "half");
        tokio::time::sleep(Duration::from_millis(600)).await;
        cx.progress(2, 2, "whole");
        Ok(Done::nothing("said it all"))
    }
}

static TALK: &[Kind] = &[Kind::of::<Talk>()];

async fn talking(app: &mut TestApp) -> (Uuid, tokio::task::JoinHandle<()>) {
    app.bench.engine = Engine { kinds: TALK, ..app.bench.engine.clone() };
    let id = app.bench.enqueue(&Talk {}).await;
    let engine = app.bench.engine.clone();
    (id.0, tokio::spawn(async move { jobs::engine::run_one(&engine, id).await.unwrap() }))
}

fn words(messages: &[Message]) -> Vec<&str> {
    messages.iter().filter_map(|message| message.data["message"].as_str()).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_is_followed_while_it_runs_and_again_from_where_one_was(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (id, running) = talking(&mut app).await;
    let (first, second) = tokio::join!(async { Stream::open(&app, id, None).await.rest().await }, async {
        Stream::open(&app, id, None).await.rest().await
    });
    running.await.unwrap();
    for messages in [&first, &second] {
        assert_eq!(words(messages), ["begins", "half", "whole"], "{messages:?}");
        let numbers: Vec<i32> = messages.iter().filter_map(|message| message.id).collect();
        assert_eq!(numbers, [1, 2, 3, 3], "the end has the last one's");
        let end = messages.last().unwrap();
        assert_eq!((end.event.as_str(), &end.data["state"]), ("end", &json!("completed")));
        assert_eq!(messages[0].event, "state", "{messages:?}");
    }
    let half = first.iter().find(|message| message.id == Some(2)).unwrap();
    assert_eq!((half.event.as_str(), &half.data["done"], &half.data["total"]), ("progress", &json!(1), &json!(2)));
    let shown = &app.get(&format!("/api/v1/jobs/{id}")).await["progress"];
    assert_eq!(*shown, json!({ "done": 2, "total": 2, "message": "whole" }));
    let log = &app.get(&format!("/api/v1/jobs/{id}")).await["log"];
    assert_eq!((log.as_array().unwrap().len(), &log[0]["message"]), (1, &json!("begins")), "{log}");
    let resumed = Stream::open(&app, id, Some(2)).await.rest().await;
    assert_eq!((words(&resumed), resumed.len()), (vec!["whole"], 2));
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_job_says_arrives_before_it_ends(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (id, running) = talking(&mut app).await;
    let mut stream = Stream::open(&app, id, None).await;
    while stream.next().await.unwrap().data["message"] != "begins" {}
    assert!(!running.is_finished());
    running.await.unwrap();
    assert_eq!(stream.rest().await.last().unwrap().event, "end");
}

#[sqlx::test(migrations = "../migrations")]
async fn redis_wakes_streams_over_one_subscription(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let job = app.bench.enqueue(&Noop::default()).await;
    let window = Window::open(&setting("REDIS_URL"), &app.redis_prefix).unwrap();
    let (mut stream, _other) = (Stream::open(&app, job.0, None).await, Stream::open(&app, job.0, None).await);
    assert_eq!(stream.next().await.unwrap().event, "state");
    let begun = Instant::now();
    for _ in 0..6 {
        let sql = "
            insert into job_events (tenant_id, job_id, seq, attempt, level, message)
            select tenant_id, $1, (select count(*) + 1 from job_events), 1, 'info', 'said' from jobs where id = $1";
        app.bench.execute(sql, job.0).await;
        window.announce(job).await;
        assert_eq!(stream.next().await.unwrap().event, "log");
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "polling every second would take longer: {:?}", begun.elapsed());
    let client = redis::Client::open(setting("REDIS_URL")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let channel = format!("{}events", app.redis_prefix);
    let (_, subscriptions): (String, i64) =
        redis::cmd("PUBSUB").arg("NUMSUB").arg(&channel).query_async(&mut connection).await.unwrap();
    assert_eq!(subscriptions, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stream_shows_nothing_to_others_and_there_are_not_too_many(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let job = app.bench.enqueue(&Noop::default()).await;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let other =
        tenants::store::insert(&mut tx, "Hults Cafe", "h@example.com", tenants::plans::Plan::Basic).await.unwrap().id;
    let (_, key) = tenants::keys::insert(&mut tx, other, "other", None, &Permissions::full()).await.unwrap();
    tx.commit().await.unwrap();
    let path = format!("/api/v1/jobs/{job}/events");
    let (status, body) = answer(app.anonymous(Method::GET, &path).bearer_auth(&key)).await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("not_found")));
    let (status, _) = answer(app.request(Method::GET, &format!("/api/v1/jobs/{}/events", Uuid::now_v7()))).await;
    assert_eq!(status.as_u16(), 404);

    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(Stream::open(&app, job.0, None).await);
    }
    let (status, body) = answer(app.request(Method::GET, &path)).await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("too_many_streams")));
    assert_eq!(app.get(&format!("/api/v1/jobs/{job}")).await["state"], "available", "streams hold no connection");
    app.bench.drain().await;
    for stream in streams {
        assert_eq!(stream.rest().await.last().unwrap().event, "end");
    }
    assert_eq!(Stream::open(&app, job.0, None).await.rest().await.len(), 1, "ended streams free their places");
    let again = app.request(Method::GET, &path).header("last-event-id", "0");
    assert_eq!(answer(again).await.0.as_u16(), 204, "a browser asks no more");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_follows_no_more_than_its_share(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let job = app.bench.enqueue(&Noop::default()).await;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let mut keys = Vec::new();
    for name in ["one", "two", "three"] {
        let permissions = Permissions::full();
        let (_, key) = tenants::keys::insert(&mut tx, app.bench.tenant_id, name, None, &permissions).await.unwrap();
        keys.push(key);
    }
    tx.commit().await.unwrap();
    let path = format!("/api/v1/jobs/{job}/events");
    let mut streams = Vec::new();
    for key in keys.iter().take(2).flat_map(|key| [key; 32]) {
        streams.push(Stream::of(app.anonymous(Method::GET, &path).bearer_auth(key), None).await);
    }
    let (status, body) = answer(app.anonymous(Method::GET, &path).bearer_auth(&keys[2])).await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("too_many_streams")));
    drop(streams);
}

#[sqlx::test(migrations = "../migrations")]
async fn operators_see_the_clocks_list_run_it_pause_it_and_resume_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    jobs::engine::periodic::tick(&app.bench.engine.db, PERIODIC, true).await.unwrap();
    let list = app.get("/api/v1/periodic").await;
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    let expected = [
        "anchor_audit_log",
        "check_tokens",
        "count_figures",
        "index_words",
        "prune_connections",
        "prune_history",
        "prune_idempotency_keys",
        "prune_people",
        "refresh_tokens",
        "report_poison",
        "rotate_encryption_keys",
    ];
    assert_eq!(names, expected);
    assert!(list["items"][0]["next_tick"].as_str() > list["items"][0]["last_tick"].as_str(), "{list}");

    let (status, job) = app.post("/api/v1/periodic/prune_history/run", json!({})).await;
    assert_eq!(status.as_u16(), 202);
    app.bench.drain().await;
    let job = app.get(&format!("/api/v1/jobs/{}", job["job_id"].as_str().unwrap())).await;
    assert_eq!((&job["state"], &job["kind"]), (&json!("completed"), &json!("prune_history")));

    let (_, paused) = app.post("/api/v1/periodic/prune_history/pause", json!({})).await;
    assert!(paused["paused_at"].is_string() && paused["next_tick"].is_null(), "{paused}");
    let (_, resumed) = app.post("/api/v1/periodic/prune_history/resume", json!({})).await;
    assert!(resumed["paused_at"].is_null() && resumed["next_tick"].is_string(), "{resumed}");
    assert_eq!(app.post("/api/v1/periodic/nope/pause", json!({})).await.0.as_u16(), 404);
    assert_eq!(app.post("/api/v1/periodic/nope/run", json!({})).await.0.as_u16(), 404);

    let tenant = app.bench.tenant_id;
    let (status, _) =
        app.post("/api/v1/jobs", json!({ "tenant_id": tenant, "kind": "prune_history", "args": {} })).await;
    assert_eq!(status.as_u16(), 422, "not for tenants");
    app.bench.execute("update api_keys set tenant_id = $1", tenant.0).await;
    let (status, body) = answer(app.request(Method::GET, "/api/v1/periodic")).await;
    assert_eq!((status.as_u16(), &body["code"]), (403, &json!("operators_only")));
}
