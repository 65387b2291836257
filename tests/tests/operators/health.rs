//! Tests of `/health/workers`: it fails if no worker consumes.

use std::time::{Duration, Instant};

use jobs::{engine::NewJob, noop::Noop};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    TestApp, answer,
    servers::{PrivatePostgres, PrivateRedis},
};

async fn health(app: &TestApp) -> (u16, Value) {
    let (status, body) = answer(app.anonymous(Method::GET, "/health/workers")).await;
    (status.as_u16(), body)
}

async fn wait_until(app: &TestApp, expected: u16) -> Value {
    let begun = Instant::now();
    loop {
        let (status, body) = health(app).await;
        if status == expected {
            return body;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{status} {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn work_without_a_worker_is_red_and_turns_green_when_one_comes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    assert_eq!(health(&app).await.0, 200, "idle, without a worker");
    app.bench.enqueue(&Noop::default()).await;
    let (status, problem) = health(&app).await;
    assert_eq!((status, &problem["code"]), (503, &json!("not_consumed")));
    assert!(problem["detail"].as_str().unwrap().contains("default"), "{problem}");
    let worker = app.worker(&[("WORKER_QUEUES", "default:2")]).await;
    wait_until(&app, 200).await;
    app.wait_until_all("noop", "completed", Duration::from_mins(1)).await;
    worker.kill().await;
    app.bench.enqueue(&Noop::default()).await;
    // The worker's lease of a second may still be valid.
    wait_until(&app, 503).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_that_serves_other_queues_does_not_help(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let _worker = app.worker(&[("WORKER_QUEUES", "media:2")]).await;
    app.bench.enqueue(&Noop::default()).await;
    assert_eq!(health(&app).await.0, 503);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_paused_queue_is_not_red(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.bench.enqueue(&Noop::default()).await;
    assert_eq!(health(&app).await.0, 503);
    app.post("/api/v1/queues/default/pause", json!({})).await;
    assert_eq!(health(&app).await.0, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_that_lives_and_takes_nothing_is_red_after_a_minute(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let _worker = app.worker(&[("WORKER_QUEUES", "default:2")]).await;
    app.post("/api/v1/queues/default/pause", json!({})).await;
    let job = app.bench.enqueue(&Noop::default()).await;
    // The test locks the row, so that no claim gets it.
    let mut held = pool.begin().await.unwrap();
    sqlx::query("set local app.scope = 'system'").execute(&mut *held).await.unwrap();
    sqlx::query("select id from jobs where id = $1 for update").bind(job.0).fetch_one(&mut *held).await.unwrap();
    app.post("/api/v1/queues/default/resume", json!({})).await;
    assert_eq!(health(&app).await.0, 200, "it waits for less than a minute");
    app.bench.engine.db.shift_clock(Duration::from_secs(61));
    let (status, problem) = health(&app).await;
    assert_eq!((status, &problem["code"]), (503, &json!("not_consumed")));
    assert!(problem["detail"].as_str().unwrap().contains("no worker takes it"), "{problem}");
    held.rollback().await.unwrap();
    app.wait_until_all("noop", "completed", Duration::from_mins(1)).await;
    assert_eq!(health(&app).await.0, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn scheduled_work_is_red_when_every_worker_is_dead(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let worker = app.worker(&[("WORKER_QUEUES", "default:2")]).await;
    let at = app.bench.now().await + Duration::from_mins(4);
    let mut tx = app.bench.engine.db.tenant(app.bench.tenant_id).await.unwrap();
    tx.enqueue(NewJob::new(app.bench.tenant_id, &Noop::default()).at(at)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(health(&app).await.0, 200, "somebody will take it");
    worker.kill().await;
    let problem = wait_until(&app, 503).await;
    assert!(problem["detail"].as_str().unwrap().contains("no live worker"), "{problem}");
    app.bench.engine.db.shift_clock(Duration::from_mins(10));
    assert_eq!(health(&app).await.0, 503);
    let queues = app.get("/api/v1/queues").await;
    let default = queues["items"].as_array().unwrap().iter().find(|queue| queue["name"] == "default").unwrap();
    assert!(default["latency_seconds"].as_f64().unwrap() >= 300.0, "{default}");
}

#[sqlx::test(migrations = "../migrations")]
async fn redis_is_green_at_the_first_look_after_it_came_back(pool: PgPool) {
    let mut redis = PrivateRedis::start().await;
    let app = TestApp::with_redis(pool, &redis.url).await;
    let look = async || answer(app.anonymous(Method::GET, "/health/redis")).await.0.as_u16();
    assert_eq!(look().await, 200);
    redis.stop();
    assert_eq!(look().await, 503);
    redis.restart_empty().await;
    assert_eq!(look().await, 200);
    redis.restart_empty().await;
    assert_eq!(look().await, 200, "nobody looked while it was away");
}

#[tokio::test]
async fn without_postgresql_a_request_is_told_soon_to_come_again() {
    let mut postgres = PrivatePostgres::start(100).await;
    let app = TestApp::new(postgres.pool().await).await;
    let (_admin, url) = app.serve_apart().await;
    let ask = async |path: &str| app.request_at(&url, Method::GET, path).send().await.unwrap();
    assert_eq!(ask("/api/v1/queues").await.status(), 200);
    postgres.stop_immediately();
    for path in ["/api/v1/queues", "/health/db", "/health/workers"] {
        let request = app.request_at(&url, Method::GET, path).timeout(Duration::from_secs(5)).send();
        let answered = request.await.expect("an answer before ten seconds");
        assert_eq!(answered.status(), 503, "{path}");
        assert!(answered.headers().contains_key("retry-after"), "{path}");
    }
    postgres.start_again().await;
    assert_eq!(ask("/api/v1/queues").await.status(), 200);
}
