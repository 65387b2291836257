//! Tests of tenants: their settings, who changes them, their limits, and their end.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod erasing;
mod limits;
mod making;
mod settings;

use jobs::{
    ids::{SessionId, TenantId, UserId},
    people::access_token,
    tenants::{self, keys, permissions::Permissions, plans::Plan},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{TestApp, answer};

type Answered = (StatusCode, Value);

fn assert_problem((status, body): &Answered, expected: u16, code: &str) {
    assert_eq!((status.as_u16(), body["code"].as_str()), (expected, Some(code)), "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
}

async fn call(app: &TestApp, token: &str, method: Method, path: &str, body: Value) -> Answered {
    answer(app.anonymous(method, &format!("/api/v1/{path}")).bearer_auth(token).json(&body)).await
}

async fn other_tenant(app: &TestApp, plan: Plan) -> TenantId {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let other = tenants::store::insert(&mut tx, "Hults Cafe", "h@example.com", plan).await.unwrap().id;
    tx.commit().await.unwrap();
    other
}

async fn tenant_key(app: &TestApp, tenant_id: TenantId) -> String {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let (_, key) = keys::insert(&mut tx, tenant_id, "a tenant's", None, &Permissions::full()).await.unwrap();
    tx.commit().await.unwrap();
    key
}

/// Creates a signed-in person with these roles, and returns the access token.
async fn person(app: &TestApp, roles: &[(TenantId, &str)]) -> String {
    let (user, session) = (UserId::new(), SessionId::new());
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let insert = "insert into users (id, email, email_verified_at) values ($1, $1 || '@example.com', now())";
    sqlx::query(insert).bind(user.0).execute(&mut *tx).await.unwrap();
    let insert = "insert into sessions (id, user_id, expires_at) values ($1, $2, now() + interval '30 days')";
    sqlx::query(insert).bind(session.0).bind(user.0).execute(&mut *tx).await.unwrap();
    for (tenant_id, role) in roles {
        let insert = "insert into tenant_users (tenant_id, user_id, role) values ($1, $2, $3)";
        sqlx::query(insert).bind(tenant_id.0).bind(user.0).bind(role).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    access_token::issue(&app.bench.engine.services.signer, &app.url, user, session, app.bench.now().await)
}

fn items(answered: &Answered) -> Vec<(String, Value)> {
    let items = answered.1["items"].as_array().unwrap();
    items.iter().map(|item| (item["name"].as_str().unwrap().to_owned(), item["role"].clone())).collect()
}

fn new_tenant(name: &str) -> Value {
    json!({ "name": name, "email": "n@example.com" })
}
