//! A person says what became of a call.

use std::time::Duration;

use jobs::ids::JobId;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::TestApp;
use uuid::Uuid;

use super::{assert_problem, do_to, noop_later};

/// A post whose call left and cannot be found; answers its job and the address of its effect.
async fn unknown(app: &TestApp) -> (JobId, String) {
    let account = app.bench.connect_page().await;
    app.bench.sandbox.fault("publish_feed", json!({ "drop": "before" })).await;
    let body = json!({ "tenant_id": app.bench.tenant_id, "account_ids": [account], "caption": "Two for one" });
    let (_, post) = app.post("/api/v1/posts/create", body).await;
    app.bench.drain().await;
    app.bench.drain_after(Duration::from_secs(90)).await;
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
    assert_eq!((app.bench.job(job).await.state.as_str(), post_state(&app).await), ("completed", json!("published")));
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
    assert_eq!((app.bench.job(job).await.state.as_str(), post_state(&app).await), ("completed", json!("published")));
    assert_eq!(app.bench.sandbox.effects().await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_did_not_happen_is_given_up(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (job, path) = unknown(&app).await;
    app.post(&path, json!({ "outcome": "did_not_happen", "send_again": false })).await;
    app.bench.drain().await;
    assert_eq!((app.bench.job(job).await.state.as_str(), post_state(&app).await), ("discarded", json!("failed")));
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
