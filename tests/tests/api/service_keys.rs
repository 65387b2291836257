//! A tenant's own keys at OpenAI and Publer.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};

use super::assert_problem;

const OPENAI_KEY: &str = "sk-own-0123456789abcdef";
const PUBLER_KEY: &str = "publer-sandbox-key";

fn path(app: &TestApp, service: &str) -> String {
    format!("/api/v1/tenants/{}/{service}", app.bench.tenant_id)
}

async fn put(app: &TestApp, service: &str, body: Value) -> (reqwest::StatusCode, Value) {
    answer(app.request(Method::PUT, &path(app, service)).json(&body)).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_is_checked_stored_masked_replaced_and_removed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (service, key, replacement) in
        [("openai", OPENAI_KEY, "sk-own-fedcba9876543210"), ("publer", PUBLER_KEY, PUBLER_KEY)]
    {
        assert_eq!(app.get(&path(&app, service)).await["is_set"], false);
        for key in [key, replacement] {
            let (status, stored) = put(&app, service, json!({ "key": key })).await;
            assert_eq!(status, 200, "{stored}");
            assert_eq!((&stored["is_set"], stored["last_four"].as_str()), (&json!(true), Some(&key[key.len() - 4..])));
            assert_eq!(app.get(&path(&app, service)).await, stored);
            assert!(!stored.to_string().contains(key), "{stored}");
        }
        for _ in 0..2 {
            let removed = app.request(Method::DELETE, &path(&app, service)).send().await.unwrap();
            assert_eq!(removed.status(), 204, "twice is harmless");
        }
        assert_eq!(app.get(&path(&app, service)).await["is_set"], false);
    }
    let log = app.get(&format!("/api/v1/tenants/{}/audit-log", app.bench.tenant_id)).await;
    let entries = log["items"].as_array().unwrap().iter().filter(|entry| entry["object_type"] == "service_key");
    assert_eq!(entries.count(), 6);
    assert!(!log.to_string().contains("0123456789abcdef") && !log.to_string().contains(PUBLER_KEY));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_key_is_refused_and_an_absent_service_says_so(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (service, operation) in [("openai", "list_models"), ("publer", "publer_workspaces")] {
        let wrong = if service == "openai" { "sk-bad" } else { "wrong-publer-key" };
        for key in ["", "sk-with a blank in it", wrong, "sk-1"] {
            let (status, body) = put(&app, service, json!({ "key": key })).await;
            assert_problem(status, &body, 422, "bad_key");
            assert!(key.is_empty() || !body.to_string().contains(key), "{body}");
        }
        app.bench.sandbox.fault(operation, json!({ "status": 503, "body": "<html>" })).await;
        let (status, body) = put(&app, service, json!({ "key": PUBLER_KEY })).await;
        assert_problem(status, &body, 503, "unavailable");
        assert_eq!(app.get(&path(&app, service)).await["is_set"], false, "nothing is stored");
    }
    for body in [json!({}), json!({ "key": null })] {
        let (status, body) = put(&app, "publer", body).await;
        assert_problem(status, &body, 422, "no_change");
    }
    let (status, body) = put(&app, "publer", json!({ "workspace_id": "600000000000000000000001" })).await;
    assert_problem(status, &body, 404, "not_found");
    let other = json!({ "key": PUBLER_KEY, "workspace_id": "600000000000000000000009" });
    let (status, body) = put(&app, "publer", other).await;
    assert_problem(status, &body, 422, "bad_key");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_accounts_of_publer_are_the_tenants(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (status, stored) = put(&app, "publer", json!({ "key": PUBLER_KEY })).await;
    assert_eq!((status.as_u16(), &stored["workspace_id"]), (200, &json!("600000000000000000000001")));
    app.bench.drain().await;
    let accounts = app.get(&format!("/api/v1/tenants/{}/accounts", app.bench.tenant_id)).await;
    let platforms: Vec<&Value> =
        accounts["items"].as_array().unwrap().iter().map(|account| &account["platform"]).collect();
    assert_eq!(platforms, [&json!("publer"), &json!("publer")]);
    app.request(Method::DELETE, &path(&app, "publer")).send().await.unwrap();
    let accounts = app.get(&format!("/api/v1/tenants/{}/accounts", app.bench.tenant_id)).await;
    assert_eq!(accounts["items"][0]["status"], "disconnected");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_with_a_key_of_its_own_needs_none_of_the_platform(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_admin, url) = app.serve_apart_with(&[("OPENAI_API_KEY", "")]).await;
    let calendars = format!("/api/v1/tenants/{}/calendars", app.bench.tenant_id);
    let month = json!({ "month": "2027-02", "posts": 1 });
    let (status, body) = answer(app.request_at(&url, Method::POST, &calendars).json(&month)).await;
    assert_problem(status, &body, 409, "not_configured");
    let own = app.request_at(&url, Method::PUT, &path(&app, "openai")).json(&json!({ "key": OPENAI_KEY }));
    assert_eq!(answer(own).await.0, 200);
    assert_eq!(answer(app.request_at(&url, Method::POST, &calendars).json(&month)).await.0, 202);
}
