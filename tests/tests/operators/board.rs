//! Tests of the state at a glance and of the figures of the past.

use std::time::Duration;

use jobs::{noop::Noop, upkeep::CountFigures};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};
use uuid::Uuid;

use super::{assert_problem, do_to, noop_later};

const ONE: &str = "{\"count\":1,\"is_exact\":true}";

fn alerts(board: &Value) -> Vec<&str> {
    let counts = board["alerts"].as_object().unwrap().iter();
    counts.filter(|(_, count)| count["count"] != 0).map(|(name, _)| name.as_str()).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_quiet_board_says_so(pool: PgPool) {
    let app = TestApp::new(pool).await;
    noop_later(&app).await;
    let board = app.get("/api/v1/board").await;
    assert_eq!((&board["is_quiet"], alerts(&board), &board["late_queues"]), (&json!(true), vec![], &json!([])));
    assert_eq!(board["queues"]["default"]["scheduled"].to_string(), ONE);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_board_counts_what_needs_an_operator(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let discarded = noop_later(&app).await;
    do_to(&app, discarded, "discard").await;
    app.bench.enqueue(&Noop::default()).await;
    let tenant = app.bench.tenant_id.0;
    for sql in [
        "insert into workers (id, name, queues, kinds, renewed_at, expires_at)
         values ($1, 'dead', '{}', '{}', clock_timestamp() - interval '3 minutes', clock_timestamp() - interval '2 minutes')",
        "insert into workers (id, name, queues, kinds, renewed_at, expires_at, stopped_at)
         select gen_random_uuid(), 'stopped', '{}', '{}', expires_at, expires_at, expires_at from workers where id = $1",
        "insert into parked_accounts (tenant_id, account_id, until, reason) values ($1, $1, now(), '{}')",
        "insert into effects (id, tenant_id, job_id, key, operation, state, attempt, request_digest)
         values ($1, $1, $1, 'x', 'x', 'unknown', 1, '')",
    ] {
        app.bench.execute(sql, tenant).await;
    }
    let board = app.get("/api/v1/board").await;
    let expected = ["dead_workers", "discarded", "discarded_lately", "parked_accounts", "unknown_effects"];
    assert_eq!((alerts(&board), &board["is_quiet"]), (expected.to_vec(), &json!(false)));
    assert!(board["alerts"].as_object().unwrap().values().all(|count| count["count"].as_i64() <= Some(1)), "{board}");
    assert_eq!(board["late_queues"], json!([{ "queue": "default", "trouble": "no_worker" }]));
    let workers = app.get("/api/v1/workers").await;
    let stopped: Vec<&Value> = workers["items"].as_array().unwrap().iter().map(|one| &one["has_stopped"]).collect();
    assert_eq!(stopped.iter().filter(|stopped| ***stopped == json!(true)).count(), 1, "{workers}");
}

#[sqlx::test(migrations = "../migrations")]
async fn figures_of_the_past_are_counted_by_a_job(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for _ in 0..2 {
        app.bench.enqueue(&Noop::default()).await;
    }
    app.bench.drain().await;
    app.bench.engine.db.shift_clock(Duration::from_mins(1));
    app.bench.enqueue_for_system(&CountFigures::default()).await;
    app.bench.drain().await;
    let since = (app.bench.now().await - Duration::from_hours(2)).format("%FT%TZ");
    let path = format!("/api/v1/stats/figures?since={since}&resolution=minute&by=kind&queue=default");
    let figures = app.get(&path).await;
    let points = figures["points"].as_array().unwrap();
    let noops: Vec<&Value> = points.iter().filter(|point| point["series"] == "noop").collect();
    let completed: i64 = noops.iter().map(|point| point["completed"].as_i64().unwrap()).sum();
    assert_eq!((completed, noops[0]["wait_p95_ms"].is_number()), (2, true), "{figures}");
}

#[sqlx::test(migrations = "../migrations")]
async fn figures_that_make_no_sense_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (query, status, code) in [
        ("", 400, "malformed"),
        ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", 422, "bad_since"),
        ("since=2026-01-01T00:00:00Z&until=2026-01-03T00:00:00Z&resolution=minute", 422, "bad_since"),
        ("since=2026-01-01T00:00:00Z&until=2026-01-20T00:00:00Z&by=kind", 422, "bad_since"),
        ("since=2026-01-01T00:00:00Z&by=tenant", 400, "malformed"),
    ] {
        let path = format!("/api/v1/stats/figures?{query}");
        assert_problem(&answer(app.request(Method::GET, &path)).await, status, code);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_search_box_finds_what_the_caller_may_read(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let picture = app.bench.picture().await;
    let found = app.get(&format!("/api/v1/search?q={picture}")).await;
    let hit = &found["items"][0];
    assert_eq!((&hit["type"], &hit["id"]), (&json!("picture"), &json!(picture)), "{found}");
    let body = json!({ "tenant_id": app.bench.tenant_id, "name": "jobs only", "permissions": ["jobs:read"] });
    let (_, key) = app.post("/api/v1/api-keys", body).await;
    let request = app.anonymous(Method::GET, &format!("/api/v1/search?q={picture}"));
    let (status, found) = answer(request.bearer_auth(key["key"].as_str().unwrap())).await;
    assert_eq!((status.as_u16(), &found["items"]), (200, &json!([])));
    let foreign = format!("/api/v1/search?q=pizza&tenant_id={}", Uuid::now_v7());
    assert_eq!(app.get(&foreign).await["items"], json!([]), "no such tenant");
    assert_problem(&answer(app.request(Method::GET, "/api/v1/search?q=x")).await, 400, "malformed");
}
