//! Tests that a person can decide the outcome of a call.

use std::time::Duration;

use jobs::{engine::JobState, ids::JobId};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::TestApp;
use uuid::Uuid;

use super::{assert_problem, do_to, noop_later};

/// Creates a post whose call left and cannot be found. Returns its job and the address of its
/// effect.
async fn unknown(app: &TestApp) -> (JobId, String) {
    let account = app.bench.connect_page().await;
    app.bench.sandbox.fault("publish_feed", json!({ "drop": "before" })).await;
    let body = json!({ "tenant_id": app.bench.tenant_id, "account_ids": [account], "caption": "Two for one" });
    let (_, post) = app.post("/api/v1/posts/create", body).await;
    app.bench.drain().await;
    app.bench.drain_after(Duration::from_mins(11)).await;
    let jobs = app.get("/api/v1/jobs?kind=publish_post&state=suspended").await;
    let id: Uuid = jobs["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{post}")).parse().unwrap();
    let job = app.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!((&job["suspended_on"], &job["effects"][0]["state"]), (&json!("unknown_effect"), &json!("unknown")));
    (JobId(id), format!("/api/v1/jobs/{id}/effects/{}/resolve", job["effects"][0]["id"].as_str().unwrap()))
}

async fn post_state(app: &TestApp) -> Value {
    let posts = app.get(&format!("/api/v1/tenants/{}/posts", app.bench.tenant_id)).await;
    posts["items"][0]["deliveries"][0]["state"].clone()
}

#[sqlx::test(migrations = "../migrations")]
async fn until_then_nothing_is_done_to_the_job(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (job, _) = unknown(&app).await;
    for action in ["retry", "run-now", "discard", "cancel"] {
        assert_problem(&do_to(&app, job, action).await, 409, "outcome_unknown");
    }
    let (_, counted) = app.post("/api/v1/jobs/bulk", json!({ "action": "cancel", "ids": [job] })).await;
    assert_eq!(counted["skipped"], json!({ "outcome_unknown": 1 }));
}

#[sqlx::test(migrations = "../migrations")]
async fn what_happened_is_recorded_and_written_down(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (job, path) = unknown(&app).await;
    let (status, view) = app.post(&path, json!({ "outcome": "happened", "remote_id": "1_2" })).await;
    assert_eq!((status.as_u16(), &view["state"]), (200, &json!("available")));
    assert_problem(&app.post(&path, json!({ "outcome": "happened", "remote_id": "1_2" })).await, 409, "effect_settled");
    app.bench.drain().await;
    assert_eq!((app.bench.job(job).await.state, post_state(&app).await), (JobState::Completed, json!("published")));
    let log = app.get(&format!("/api/v1/tenants/{}/audit-log", app.bench.tenant_id)).await;
    let entry = &log["items"][0];
    assert_eq!((&entry["action"], &entry["actor_name"]), (&json!("effect.resolve"), &json!("test")));
    assert_eq!((&entry["details"]["before"], &entry["details"]["remote_id"]), (&json!("unknown"), &json!("1_2")));
    assert_eq!(entry["remote_address"], "127.0.0.1");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_did_not_happen_is_done_now(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (job, path) = unknown(&app).await;
    let (status, _) = app.post(&path, json!({ "outcome": "did_not_happen", "send_again": true })).await;
    assert_eq!(status, 200);
    app.bench.drain().await;
    assert_eq!((app.bench.job(job).await.state, post_state(&app).await), (JobState::Completed, json!("published")));
    assert_eq!(app.bench.sandbox.effects().await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_did_not_happen_is_given_up(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (job, path) = unknown(&app).await;
    app.post(&path, json!({ "outcome": "did_not_happen", "send_again": false })).await;
    app.bench.drain().await;
    assert_eq!((app.bench.job(job).await.state, post_state(&app).await), (JobState::Discarded, json!("failed")));
    assert_eq!(app.bench.sandbox.effects().await.len(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn nonsense_and_other_jobs_effects_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (job, path) = unknown(&app).await;
    for (body, field) in [
        (json!({}), "outcome"),
        (json!({ "outcome": "perhaps" }), "outcome"),
        (json!({ "outcome": "happened" }), "remote_id"),
        (json!({ "outcome": "happened", "remote_id": "" }), "remote_id"),
        (json!({ "outcome": "happened", "remote_id": "1", "send_again": true }), "send_again"),
        (json!({ "outcome": "did_not_happen" }), "send_again"),
        (json!({ "outcome": "did_not_happen", "remote_id": "1" }), "remote_id"),
    ] {
        let (status, problem) = app.post(&path, body).await;
        assert!(status.is_client_error(), "{field}: {status} {problem}");
        assert!(problem["detail"].as_str().unwrap().to_lowercase().contains(field), "{field}: {problem}");
    }
    let body = json!({ "outcome": "did_not_happen", "send_again": true });
    let other = path.replace(&job.to_string(), &noop_later(&app).await.to_string());
    assert_problem(&app.post(&other, body.clone()).await, 404, "not_found");
    let none = format!("/api/v1/jobs/{job}/effects/{}/resolve", Uuid::now_v7());
    assert_problem(&app.post(&none, body).await, 404, "not_found");
}

async fn bulk(app: &TestApp, send_again: bool, dry_run: bool) -> Value {
    let filter = json!({ "kind": "publish_post", "state": "suspended" });
    let body = json!({
        "action": "resolve", "outcome": "did_not_happen", "send_again": send_again, "dry_run": dry_run, "filter": filter,
    });
    let (status, body) = app.post("/api/v1/jobs/bulk", body).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[sqlx::test(migrations = "../migrations")]
async fn many_that_were_looked_for_and_not_seen_are_resolved_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let account = app.bench.connect_page().await;
    app.bench.sandbox.fault("publish_feed", json!({ "status": 502, "body": "<html/>", "times": 3 })).await;
    for number in 0..3 {
        let caption = format!("Two for one {number}");
        let body = json!({ "tenant_id": app.bench.tenant_id, "account_ids": [account], "caption": caption });
        app.post("/api/v1/posts/create", body).await;
    }
    app.bench.drain().await;
    app.bench.drain_after(Duration::from_mins(2)).await;
    assert_eq!(bulk(&app, true, false).await["skipped"], json!({ "not_looked_for": 3 }), "one look is not enough");
    for _ in 0..3 {
        app.bench.drain_after(Duration::from_mins(2)).await;
    }
    // The provider shows posts that may be one of the three, which only a person may decide.
    let seen = json!({ "page_id": "10158250000000101", "message": "Two for one 0",
        "application": { "id": "100200300400500", "name": "Sandbox" } });
    for _ in 0..2 {
        app.bench.sandbox.control("posts", seen.clone()).await;
    }
    for _ in 0..3 {
        app.bench.drain_after(Duration::from_mins(5)).await;
    }
    let jobs = app.get("/api/v1/jobs?kind=publish_post&state=suspended").await;
    assert_eq!(jobs["items"].as_array().unwrap().len(), 3);
    for dry_run in [true, false] {
        let view = bulk(&app, true, dry_run).await;
        assert_eq!((&view["done"], &view["skipped"]), (&json!({ "available": 2 }), &json!({ "not_looked_for": 1 })));
    }
    let log = app.get(&format!("/api/v1/tenants/{}/audit-log", app.bench.tenant_id)).await;
    assert_eq!(log["items"][0]["action"], "jobs.resolve_send_again");
    app.bench.drain().await;
    assert_eq!(app.bench.sandbox.effects().await.len(), 2);
    assert_eq!(app.bench.sandbox.calls("publish_feed").await, 5);
    let job = jobs["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap());
    let mut candidates = 0;
    for id in job {
        let job = app.get(&format!("/api/v1/jobs/{id}")).await;
        candidates += job["effects"][0]["candidates"].as_array().unwrap().len();
    }
    assert_eq!(candidates, 2, "the candidates are listed");
}

#[sqlx::test(migrations = "../migrations")]
async fn to_resolve_many_one_says_that_they_did_not_happen_and_what_now(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ids = [Uuid::now_v7()];
    for (body, code) in [
        (json!({ "action": "resolve", "ids": ids, "send_again": true }), "bad_outcome"),
        (json!({ "action": "resolve", "ids": ids, "outcome": "did_not_happen" }), "bad_send_again"),
        (json!({ "action": "retry", "ids": ids, "outcome": "did_not_happen" }), "bad_outcome"),
        (json!({ "action": "retry", "ids": ids, "send_again": true }), "bad_send_again"),
    ] {
        assert_problem(&app.post("/api/v1/jobs/bulk", body).await, 422, code);
    }
}
