//! The health of connections, and refreshes and disconnects on request.

use jobs::ids::AccountId;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};
use uuid::Uuid;

use super::assert_problem;

async fn health(app: &TestApp, account: AccountId) -> Value {
    app.get(&format!("/api/v1/accounts/{account}/token-health")).await
}

async fn refresh(app: &TestApp, account: AccountId) -> Value {
    let path = format!("/api/v1/accounts/{account}/refresh");
    let (status, job) = answer(app.request(Method::POST, &path)).await;
    assert_eq!(status, 202, "{job}");
    job
}

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_is_refreshed_on_request(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let account = app.bench.connect_page().await;
    let before = health(&app, account).await;
    assert_eq!((&before["status"], &before["scopes_missing"]), (&json!("active"), &json!([])));
    assert!(before["expires_at"].is_string() && before["next_refresh_at"].is_string(), "{before}");
    assert!(before["last_error"].is_null() && before["ends_at"].is_null(), "{before}");
    let (first, second) = (refresh(&app, account).await, refresh(&app, account).await);
    assert_eq!(
        (&first["job_id"], &first["is_new"], &second["is_new"]),
        (&second["job_id"], &json!(true), &json!(false))
    );
    app.bench.drain().await;
    let after = health(&app, account).await;
    assert!(after["last_refresh_at"].as_str() > before["last_refresh_at"].as_str(), "{after}");
    let stats = app.get("/api/v1/stats").await;
    assert_eq!(stats["token_refreshes"], json!({ "succeeded": 1, "failed": 0, "success_rate": 1.0 }));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failed_refresh_and_a_missing_permission_are_shown(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let account = app.bench.connect_page().await;
    app.bench.sandbox.fault("exchange_token", json!({ "status": 502, "body": "<html>" })).await;
    refresh(&app, account).await;
    app.bench.drain().await;
    let failed = health(&app, account).await;
    assert_eq!((&failed["status"], &failed["last_error"]), (&json!("active"), &json!("Facebook did not respond.")));
    let stats = app.get("/api/v1/stats").await;
    assert_eq!(stats["token_refreshes"], json!({ "succeeded": 0, "failed": 1, "success_rate": 0.0 }));

    let person = app.bench.sandbox.observe("state").await["current"].clone();
    let declined = json!({ "person_id": person, "permission": "pages_manage_posts", "granted": false });
    app.bench.sandbox.control("permissions", declined).await;
    app.bench.drain_after(std::time::Duration::from_mins(1)).await;
    let missing = health(&app, account).await;
    assert_eq!(missing["scopes_missing"], json!(["pages_manage_posts"]));
    assert_eq!((&missing["status"], &missing["next_refresh_at"]), (&json!("needs_reauth"), &Value::Null));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_that_is_not_there_is_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (method, path) in [(Method::GET, "/token-health"), (Method::POST, "/refresh"), (Method::DELETE, "")] {
        let path = format!("/api/v1/accounts/{}{path}", Uuid::now_v7());
        let (status, body) = answer(app.request(method, &path)).await;
        assert_problem(status, &body, 404, "not_found");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_is_disconnected_on_request(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let account = app.bench.connect_page().await;
    let path = format!("/api/v1/accounts/{account}");
    let (status, job) = answer(app.request(Method::DELETE, &format!("{path}?waiting=pause"))).await;
    assert_eq!(status, 202, "{job}");
    let listed = app.get(&format!("/api/v1/tenants/{tenant}/accounts")).await;
    assert_eq!(listed["items"][0]["status"], "disconnected", "at once");
    app.bench.drain().await;
    let done = app.get(&format!("/api/v1/jobs/{}", job["job_id"].as_str().unwrap())).await;
    assert_eq!((&done["state"], &done["result"]["revocation"]), (&json!("completed"), &json!("revoked")));
    assert!(done["result"]["why"].as_str().unwrap().contains("revoked at Facebook"), "{done}");
    assert_eq!(app.bench.sandbox.calls("revoke_permissions").await, 1);

    let (status, again) = answer(app.request(Method::DELETE, &path)).await;
    assert_eq!((status.as_u16(), &again["is_new"]), (202, &json!(true)), "twice is harmless");
    let (status, body) = answer(app.request(Method::POST, &format!("{path}/refresh"))).await;
    assert_problem(status, &body, 409, "disconnected");
    let post = json!({ "tenant_id": tenant, "account_ids": [account], "caption": "Pizza" });
    let (status, body) = app.post("/api/v1/posts/create", post).await;
    assert_problem(status, &body, 409, "disconnected");
    let log = app.get(&format!("/api/v1/tenants/{tenant}/audit-log")).await;
    let entries = log["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "account.disconnect");
    let first: Vec<&Value> = entries.map(|entry| &entry["details"]["is_first"]).collect();
    assert_eq!(first, [&json!(false), &json!(true)]);
}
