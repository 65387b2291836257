//! What dies, and what becomes of the jobs.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::{collections::BTreeMap, time::Duration};

use jobs::{engine::NewJob, ids::AccountId, noop::Noop};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, setting};

const TWO_MINUTES: Duration = Duration::from_mins(2);

/// Makes `count` text posts that go out now, each with a text of its own.
async fn publish(app: &TestApp, account: AccountId, count: usize) {
    for number in 0..count {
        let body = json!({
            "tenant_id": app.bench.tenant_id, "account_ids": [account], "caption": format!("post {number}"),
        });
        let (status, body) = app.post("/api/v1/posts/create", body).await;
        assert_eq!(status, 202, "{body}");
    }
}

/// How often each text was published.
async fn published(app: &TestApp) -> BTreeMap<String, usize> {
    let mut texts = BTreeMap::new();
    for effect in app.bench.sandbox.effects().await {
        *texts.entry(effect["message"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    texts
}

async fn flush_redis() {
    // Shared with tests beside this one, for which it is one more fault that they survive.
    let client = redis::Client::open(setting("REDIS_URL")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_killed_over_20_jobs_and_a_flushed_redis_lose_nothing_and_publish_nothing_twice(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let account = app.bench.connect_page().await;
    // Every reply comes late: the posts are out, the worker does not know yet.
    app.bench.sandbox.fault("publish_feed", json!({ "times": 10, "reply_delay_ms": 5000 })).await;
    app.bench.sandbox.fault("publish_feed", json!({ "nth": 11, "times": 10, "delay_ms": 5000 })).await;
    let worker = app.worker(&[("WORKER_QUEUES", "posting:20,oauth:2,default:20")]).await;
    publish(&app, account, 20).await;
    app.wait_until_some("publish_post", "executing", 20).await;
    worker.kill().await;
    flush_redis().await;
    let _successor = app.worker(&[]).await;
    app.wait_until_all("publish_post", "completed", TWO_MINUTES).await;
    let published = published(&app).await;
    assert_eq!(published.len(), 20, "{published:?}");
    assert!(published.values().all(|&times| times == 1), "{published:?}");
    let jobs = app.get("/api/v1/jobs?kind=publish_post&limit=200").await;
    let crashed = jobs["items"].as_array().unwrap().iter().filter(|job| job["crashes"] == json!(1)).count();
    assert_eq!(crashed, 20, "each attempt that died is counted");
}

#[sqlx::test(migrations = "../migrations")]
async fn redis_is_disposable(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let worker = app.worker(&[("WORKER_QUEUES", "default:4")]).await;
    let noops = vec![NewJob::new(app.bench.tenant_id, &Noop::default()); 2_000];
    let mut tx = app.bench.engine.db.tenant(app.bench.tenant_id).await.unwrap();
    tx.enqueue_all(noops).await.unwrap();
    tx.commit().await.unwrap();
    app.wait_until_some("noop", "completed", 1).await;
    flush_redis().await;
    app.wait_until_all("noop", "completed", TWO_MINUTES).await;
    drop(worker);
}

#[sqlx::test(migrations = "../migrations")]
async fn jobs_run_without_redis(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let _worker = app.worker(&[("REDIS_URL", "redis://127.0.0.1:1")]).await;
    for _ in 0..50 {
        app.bench.enqueue(&Noop::default()).await;
    }
    app.wait_until_all("noop", "completed", TWO_MINUTES).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn twenty_thousand_jobs_at_once_are_worked_off(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let _worker = app.worker(&[]).await;
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {}, "copies": 20_000 });
    let (status, body) = app.post("/api/v1/jobs", body).await;
    assert_eq!((status.as_u16(), &body["copies"]), (202, &json!(20_000)));
    app.wait_until_all("noop", "completed", TWO_MINUTES).await;
    assert_eq!(app.count_jobs("noop").await, [("completed".to_owned(), 20_000)]);
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let odd: i64 = sqlx::query_scalar("select count(*) from job_ledger where attempt <> 1 or error is not null")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(odd, 0, "each ran once, without error");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_that_is_asked_to_stop_hands_back_what_did_not_end(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.bench.sandbox.fault("chat_completion", json!({ "times": 3, "delay_ms": 20_000 })).await;
    let worker = app.worker(&[("WORKER_DRAIN_SECONDS", "1"), ("WORKER_QUEUES", "ai:3")]).await;
    let path = format!("/api/v1/tenants/{}/calendars", app.bench.tenant_id);
    for _ in 0..3 {
        let (status, body) = app.post(&path, json!({ "month": "2027-03", "posts": 2 })).await;
        assert_eq!(status, 202, "{body}");
    }
    app.wait_until_some("generate_calendar", "executing", 3).await;
    let (code, took) = worker.terminate().await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(25), "the platform kills after 30 seconds: {took:?}");
    assert_eq!(app.count_jobs("generate_calendar").await, [("available".to_owned(), 3)]);
    let _successor = app.worker(&[]).await;
    app.wait_until_all("generate_calendar", "completed", TWO_MINUTES).await;
    let jobs = app.get("/api/v1/jobs?kind=generate_calendar").await;
    let free = |job: &Value| job["failures"] == json!(0) && job["crashes"] == json!(0);
    assert!(jobs["items"].as_array().unwrap().iter().all(free), "a stop costs nothing");
}

#[sqlx::test(migrations = "../migrations")]
async fn two_workers_share_the_work_and_nothing_runs_twice(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let account = app.bench.connect_page().await;
    let _workers = (app.worker(&[]).await, app.worker(&[]).await);
    publish(&app, account, 30).await;
    app.wait_until_all("publish_post", "completed", TWO_MINUTES).await;
    let published = published(&app).await;
    assert!(published.len() == 30 && published.values().all(|&times| times == 1), "{published:?}");
}
