//! Tests of queues, workers and parked accounts.

use std::time::{Duration, Instant};

use jobs::{
    engine::JobState,
    engine::NewJob,
    fault_probe::{FaultProbe, Probe},
    noop::Noop,
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer, ledger};
use uuid::Uuid;

use super::{assert_problem, noop_later, patch};

async fn queue(app: &TestApp, name: &str) -> Value {
    let queues = app.get("/api/v1/queues").await;
    queues["items"].as_array().unwrap().iter().find(|queue| queue["name"] == name).unwrap().clone()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_queue_shows_how_much_waits_and_for_how_long(pool: PgPool) {
    let app = TestApp::new(pool).await;
    assert_eq!(queue(&app, "default").await["latency_seconds"], json!(null));
    for _ in 0..3 {
        app.bench.enqueue(&Noop::default()).await;
    }
    noop_later(&app).await;
    app.bench.engine.db.shift_clock(Duration::from_secs(100));
    let queue = queue(&app, "default").await;
    assert_eq!(queue["depth"]["available"], json!({ "count": 3, "is_exact": true }));
    assert_eq!(queue["depth"]["scheduled"], json!({ "count": 1, "is_exact": true }));
    assert!(queue["latency_seconds"].as_f64().unwrap() >= 100.0, "{queue}");
    assert_eq!((&queue["slots"], &queue["running"]), (&json!(0), &json!(0)));
}

#[sqlx::test(migrations = "../migrations")]
async fn counts_end_at_ten_thousand_and_say_so(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {}, "copies": 10_002 });
    assert_eq!(app.post("/api/v1/jobs", body).await.0, 202);
    let stats = app.get("/api/v1/stats").await;
    assert_eq!(stats["queues"]["default"]["available"], json!({ "count": 10_001, "is_exact": false }));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_paused_queue_gives_nothing_out_until_it_goes_on(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, paused) = app.post("/api/v1/queues/default/pause", json!({})).await;
    assert!(paused["paused_at"].is_string(), "{paused}");
    let job = app.bench.enqueue(&Noop::default()).await;
    assert_eq!(app.bench.drain().await, 0);
    let (_, again) = app.post("/api/v1/queues/default/pause", json!({})).await;
    assert_eq!(again["paused_at"], paused["paused_at"], "the first pause counts");
    let (_, resumed) = app.post("/api/v1/queues/default/resume", json!({})).await;
    assert_eq!(resumed["paused_at"], json!(null));
    app.bench.drain().await;
    assert_eq!(app.bench.job(job).await.state, JobState::Completed);
}

#[sqlx::test(migrations = "../migrations")]
async fn limits_are_set_left_alone_and_lifted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = "/api/v1/queues/posting";
    let (status, set) = patch(&app, path, json!({ "max_running": 7, "max_per_account": 2 })).await;
    assert_eq!(status, 200, "{set}");
    let (_, lifted) = patch(&app, path, json!({ "max_running": null })).await;
    assert_eq!((&lifted["max_running"], &lifted["max_per_account"]), (&json!(null), &json!(2)));
    let log = app.get("/api/v1/audit-log").await;
    let details = &log["items"][0]["details"];
    assert_eq!((&details["before"]["max_running"], &details["after"]["max_running"]), (&json!(7), &json!(null)));
    for (body, field) in [
        (json!({ "max_running": 0 }), "max_running"),
        (json!({ "max_per_tenant": 100_001 }), "max_per_tenant"),
        (json!({ "max_per_account": -1 }), "max_per_account"),
        (json!({ "max_running": "many" }), "max_running"),
        (json!({ "slots": 1 }), "slots"),
        (json!({}), "max_running"),
    ] {
        let (status, problem) = patch(&app, path, body).await;
        assert!(status.is_client_error(), "{field}: {problem}");
        assert!(problem["detail"].as_str().unwrap().to_lowercase().contains(field), "{field}: {problem}");
    }
    assert_problem(&patch(&app, "/api/v1/queues/nope", json!({ "max_running": 1 })).await, 404, "not_found");
    assert_problem(&app.post("/api/v1/queues/nope/pause", json!({})).await, 404, "not_found");
}

#[sqlx::test(migrations = "../migrations")]
async fn no_more_jobs_of_a_queue_run_at_once_than_operators_allow(pool: PgPool) {
    let app = TestApp::new(pool).await;
    patch(&app, "/api/v1/queues/default", json!({ "max_running": 3 })).await;
    let tenant_id = app.bench.tenant_id;
    let probe = NewJob::new(tenant_id, &FaultProbe { what: Probe::Sleep, ms: 150, attempts: None });
    let mut tx = app.bench.engine.db.tenant(tenant_id).await.unwrap();
    tx.enqueue_all(vec![probe; 20]).await.unwrap();
    tx.commit().await.unwrap();
    let _workers = (app.worker(&[]).await, app.worker(&[]).await);
    app.wait_until_all("fault_probe", "completed", Duration::from_mins(1)).await;
    let most = ledger::most_at_once(&app.bench.engine.db, "fault_probe").await.unwrap();
    assert_eq!(most, 3, "of 80 slots");
}

#[sqlx::test(migrations = "../migrations")]
async fn workers_show_what_they_run_and_since_when(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.bench.sandbox.fault("chat_completion", json!({ "delay_ms": 8_000 })).await;
    let worker = app.worker(&[("WORKER_QUEUES", "ai:2,default:3")]).await;
    let path = format!("/api/v1/tenants/{}/calendars", app.bench.tenant_id);
    assert_eq!(app.post(&path, json!({ "month": "2027-03", "posts": 2 })).await.0, 202);
    app.wait_until_some("generate_calendar", "executing", 1).await;
    let workers = app.get("/api/v1/workers").await;
    let shown = &workers["items"][0];
    assert_eq!((&shown["is_alive"], &shown["slots"]), (&json!(true), &json!({ "ai": 2, "default": 3 })));
    assert!(shown["kinds"].as_array().unwrap().contains(&json!("generate_calendar")));
    assert!(shown["heartbeat_seconds"].as_f64().unwrap() < shown["lease_seconds"].as_f64().unwrap());
    let running = &shown["running"][0];
    assert_eq!((&running["kind"], &running["attempt"]), (&json!("generate_calendar"), &json!(1)));
    assert!(running["started_at"].is_string() && running["job_id"].is_string());
    assert_eq!((&queue(&app, "ai").await["running"], &queue(&app, "ai").await["slots"]), (&json!(1), &json!(2)));
    assert_eq!(app.get("/api/v1/stats").await["workers"], json!(1));
    worker.kill().await;
    let begun = Instant::now();
    while app.get("/api/v1/workers").await["items"][0]["is_alive"] != json!(false) {
        assert!(begun.elapsed() < Duration::from_secs(10), "its lease of a second is over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_parked_account_is_shown_and_released(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let account = app.bench.connect_page().await;
    app.bench.sandbox.graph_error("publish_feed", 32, 0).await;
    let body = json!({ "tenant_id": app.bench.tenant_id, "account_ids": [account], "caption": "Two for one" });
    app.post("/api/v1/posts/create", body).await;
    app.bench.drain().await;
    let parked = app.get(&format!("/api/v1/parked-accounts?tenant_id={}", app.bench.tenant_id)).await;
    let shown = &parked["items"][0];
    assert_eq!((&shown["account_id"], &shown["reason"]["class"]), (&json!(account), &json!("rate")));
    let path = format!("/api/v1/parked-accounts/{account}/release");
    let (status, released) = app.post(&path, json!({})).await;
    assert_eq!((status.as_u16(), &released["resumed"]), (200, &json!(1)));
    app.bench.drain().await;
    app.wait_until_all("publish_post", "completed", Duration::from_mins(1)).await;
    assert_problem(&app.post(&path, json!({})).await, 404, "not_found");
    assert_eq!(app.get("/api/v1/parked-accounts").await["items"], json!([]));
    let log = app.get(&format!("/api/v1/tenants/{}/audit-log", app.bench.tenant_id)).await;
    assert_eq!(
        (&log["items"][0]["action"], &log["items"][0]["object_id"]),
        (&json!("account.release"), &json!(account))
    );
    let (status, problem) = answer(app.request(Method::GET, "/api/v1/parked-accounts?tenant_id=7")).await;
    assert!(status.is_client_error() && problem["detail"].as_str().unwrap().contains("tenant_id"));
    let (status, _) = app.post(&format!("/api/v1/parked-accounts/{}/release", Uuid::now_v7()), json!({})).await;
    assert_eq!(status, 404);
}
