//! The health of connections, and refreshes on request.

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
    for (method, path) in [(Method::GET, "token-health"), (Method::POST, "refresh")] {
        let path = format!("/api/v1/accounts/{}/{path}", Uuid::now_v7());
        let (status, body) = answer(app.request(method, &path)).await;
        assert_problem(status, &body, 404, "not_found");
    }
}
