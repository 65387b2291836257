//! Tests of the limits of a tenant's key: what it may see and do.

use jobs::{engine::JobState, noop::Noop};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};
use uuid::Uuid;

use super::{assert_problem, many_later, noop_later, other_tenant, tenant_key};

async fn with(app: &TestApp, key: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    answer(app.anonymous(method, path).bearer_auth(key).json(&body)).await
}

#[sqlx::test(migrations = "../migrations")]
async fn what_concerns_everybody_is_for_operators(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let key = tenant_key(&app, app.bench.tenant_id).await;
    for (method, path) in [
        (Method::GET, "queues"),
        (Method::PATCH, "queues/default"),
        (Method::POST, "queues/default/pause"),
        (Method::POST, "queues/nope/resume"),
        (Method::GET, "workers"),
        (Method::GET, "stats"),
        (Method::GET, "stats/figures?since=2026-01-01T00:00:00Z"),
        (Method::GET, "board"),
        (Method::GET, "operators"),
        (Method::GET, "audit-log"),
    ] {
        let answered = with(&app, &key, method, &format!("/api/v1/{path}"), json!({})).await;
        assert_problem(&answered, 403, "operators_only");
    }
    let tenant = json!({ "name": "Hults Cafe", "email": "h@example.com", "plan": "basic" });
    assert_problem(&with(&app, &key, Method::POST, "/api/v1/tenants", tenant).await, 403, "operators_only");
}

#[sqlx::test(migrations = "../migrations")]
async fn operators_see_all_tenants_and_a_tenant_itself(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (own, other) = (app.bench.tenant_id, other_tenant(&app).await);
    let ids = |body: &Value| -> Vec<String> {
        body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = app.get("/api/v1/tenants?limit=1").await;
    assert_eq!(ids(&first), [other.to_string()], "the newest first");
    let rest = app.get(&format!("/api/v1/tenants?after={}", first["next"].as_str().unwrap())).await;
    assert_eq!((ids(&rest), &rest["next"]), (vec![own.to_string()], &Value::Null));
    let key = tenant_key(&app, own).await;
    let (_, seen) = with(&app, &key, Method::GET, "/api/v1/tenants", json!({})).await;
    assert_eq!(ids(&seen), [own.to_string()]);
}

#[sqlx::test(migrations = "../migrations")]
async fn another_tenants_job_and_a_missing_one_look_the_same(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let other = other_tenant(&app).await;
    let key = tenant_key(&app, other).await;
    let (id, none) = (noop_later(&app).await, Uuid::now_v7());
    for (method, path, body) in [
        (Method::GET, "jobs/{id}", json!({})),
        (Method::POST, "jobs/{id}/retry", json!({})),
        (Method::POST, "jobs/{id}/cancel", json!({})),
        (Method::POST, "jobs/{id}/discard", json!({})),
        (Method::POST, "jobs/{id}/run-now", json!({})),
        (
            Method::POST,
            "jobs/{id}/effects/00000000-0000-0000-0000-000000000007/resolve",
            json!({ "outcome": "did_not_happen", "send_again": true }),
        ),
        (Method::POST, "parked-accounts/{id}/release", json!({})),
        (Method::GET, "tenants/{id}/audit-log", json!({})),
    ] {
        let path = |id: &str| format!("/api/v1/{}", path.replace("{id}", id));
        let named = if path("x").contains("tenants/") { app.bench.tenant_id.to_string() } else { id.to_string() };
        let anothers = with(&app, &key, method.clone(), &path(&named), body.clone()).await;
        let missing = with(&app, &key, method, &path(&none.to_string()), body).await;
        assert_problem(&anothers, 404, "not_found");
        assert_eq!(anothers, missing, "{named}");
    }
    let filter = format!("/api/v1/jobs?tenant_id={}", app.bench.tenant_id);
    assert_problem(&with(&app, &key, Method::GET, &filter, json!({})).await, 404, "not_found");
    assert_eq!(app.bench.job(id).await.state, JobState::Scheduled);
}

#[sqlx::test(migrations = "../migrations")]
async fn causes_are_for_operators_and_the_rest_of_a_failure_for_its_tenant(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let key = tenant_key(&app, tenant).await;
    let account = app.bench.connect_page().await;
    app.bench.sandbox.graph_error("publish_feed", 32, 0).await;
    let body = json!({ "tenant_id": tenant, "account_ids": [account], "caption": "Two for one" });
    let (_, created) = app.post("/api/v1/posts/create", body).await;
    app.bench.drain().await;
    let job = created["job_ids"][0].as_str().unwrap();
    for (path, failures) in [
        // The failures of the job, its attempt and its effect.
        (format!("jobs/{job}"), 3),
        ("jobs?kind=publish_post".to_owned(), 1),
        ("parked-accounts".to_owned(), 1),
    ] {
        assert_causes(&app, &key, &path, failures).await;
    }
    let stream = app.anonymous(Method::GET, &format!("/api/v1/jobs/{job}/events")).bearer_auth(&key);
    let said = stream.send().await.unwrap().chunk().await.unwrap().unwrap();
    let said = std::str::from_utf8(&said).unwrap();
    assert!(said.contains("message") && !said.contains("causes"), "{said}");
    app.post(&format!("/api/v1/parked-accounts/{account}/release"), json!({})).await;
    assert_causes(&app, &key, &format!("tenants/{tenant}/audit-log"), 1).await;
    let (_, cancelled) = with(&app, &key, Method::POST, &format!("/api/v1/jobs/{job}/cancel"), json!({})).await;
    assert_eq!((&cancelled["state"], &cancelled["error"]["class"]), (&json!("cancelled"), &json!("rate")));
    assert!(cancelled["error"]["causes"].is_null(), "{cancelled}");
}

/// Checks that operators see this number of causes, and that a tenant sees the same failures
/// without them.
async fn assert_causes(app: &TestApp, key: &str, path: &str, failures: usize) {
    let path = format!("/api/v1/{path}");
    let whole = app.get(&path).await.to_string();
    let part = with(app, key, Method::GET, &path, json!({})).await.1.to_string();
    let count = |text: &str, word: &str| text.matches(&format!("\"{word}\":")).count();
    assert_eq!((count(&whole, "causes"), count(&part, "causes")), (failures, 0), "{whole} {part}");
    assert_eq!((count(&whole, "class"), count(&part, "class")), (failures, failures), "{whole} {part}");
}

#[sqlx::test(migrations = "../migrations")]
async fn in_bulk_a_tenant_reaches_its_own_jobs_only(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let other = other_tenant(&app).await;
    let key = tenant_key(&app, other).await;
    let anothers = noop_later(&app).await;
    let own = many_later(&app, other, &Noop::default(), 2).await;
    let act = async |body| with(&app, &key, Method::POST, "/api/v1/jobs/bulk", body).await.1;
    let by_ids = act(json!({ "action": "run-now", "ids": [anothers, own[0]] })).await;
    assert_eq!((&by_ids["done"], &by_ids["skipped"]), (&json!({ "available": 1 }), &json!({ "not_found": 1 })));
    let by_filter = act(json!({ "action": "cancel", "filter": { "kind": "noop" } })).await;
    assert_eq!(by_filter["done"], json!({ "cancelled": 2 }));
    assert_eq!(app.bench.job(anothers).await.state, JobState::Scheduled);
    let (_, log) = with(&app, &key, Method::GET, &format!("/api/v1/tenants/{other}/audit-log"), json!({})).await;
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
    assert_eq!(log["items"][0]["actor_name"], "a tenant's");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenants_bulk_job_reaches_its_own_jobs_only(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let other = other_tenant(&app).await;
    let key = tenant_key(&app, other).await;
    let anothers = noop_later(&app).await;
    many_later(&app, other, &Noop::default(), 1_001).await;
    let body = json!({ "action": "cancel", "filter": { "kind": "noop" } });
    let (status, _) = with(&app, &key, Method::POST, "/api/v1/jobs/bulk", body).await;
    assert_eq!(status, 202);
    app.bench.drain().await;
    assert_eq!(app.count_jobs("noop").await, [("cancelled".to_owned(), 1_001), ("scheduled".to_owned(), 1)]);
    assert_eq!(app.bench.job(anothers).await.state, JobState::Scheduled);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_says_in_anothers_name_what_is_done_to_many_jobs(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let actor = json!({ "key_id": Uuid::nil(), "name": "somebody else" });
    let args = json!({ "action": "cancel", "filter": {}, "actor": actor });
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "act_on_jobs", "args": args });
    assert_problem(&app.post("/api/v1/jobs", body).await, 422, "bad_kind");
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_has_letters_written_by_hand(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let args = json!({ "letter": "operator_alert", "sort": "Win a prize", "words": "https://evil.example.com" });
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "send_mail", "args": args });
    assert_problem(&app.post("/api/v1/jobs", body).await, 422, "bad_kind");
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "nope", "args": {} });
    let (_, problem) = app.post("/api/v1/jobs", body).await;
    let kinds = problem["detail"].as_str().unwrap();
    assert!(kinds.contains("publish_post") && !kinds.contains("send_mail"), "{kinds}");
}
