//! Tests of operators who invite, change and remove others.

use jobs::{
    ids::TenantId,
    people::store::Purpose,
    tenants::{keys, permissions::Permissions},
};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, answer, people::PASSWORD};
use uuid::Uuid;

#[sqlx::test(migrations = "../migrations")]
async fn an_invited_operator_signs_in_and_is_removed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.operator("ada@example.com").await;
    let new = json!({ "email": "bob@example.com", "name": "Bob Stone", "role": "read_only" });
    let (status, bob) = app.call(&ada, Method::POST, "operators", new.clone()).await;
    assert_eq!((status.as_u16(), &bob["is_pending"], &bob["first_name"]), (201, &json!(true), &json!("Bob")), "{bob}");
    let (status, again) = app.call(&ada, Method::POST, "operators", new).await;
    assert_eq!((status.as_u16(), &again["code"]), (409, &json!("already_member")));
    let code = app.last_code("bob@example.com", Purpose::ResetPassword).await;
    let chosen = json!({ "code": code, "password": PASSWORD });
    assert_eq!(app.open("reset-password", chosen).await.0, 200);
    let tokens = app.sign_in("bob@example.com", PASSWORD).await;
    app.enrol(&tokens).await;
    let (status, listed) = app.call(&tokens, Method::GET, "operators", json!({})).await;
    assert_eq!((status.as_u16(), listed["items"].as_array().unwrap().len()), (200, 2), "{listed}");
    let path = format!("operators/{}", bob["user_id"].as_str().unwrap());
    for (method, path, body) in [
        (Method::POST, "operators", json!({ "email": "eve@example.com", "name": "Eve", "role": "full" })),
        (Method::PATCH, path.as_str(), json!({ "role": "full" })),
        (Method::DELETE, path.as_str(), json!({})),
    ] {
        let (status, problem) = app.call(&tokens, method, path, body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("missing_permission")), "read-only");
    }
    let (_, changed) = app.call(&ada, Method::PATCH, &path, json!({ "role": "full" })).await;
    assert_eq!(changed["role"], json!("full"));
    assert_eq!(app.call(&ada, Method::DELETE, &path, json!({})).await.0, 204);
    assert_eq!(app.call(&tokens, Method::GET, "operators", json!({})).await.0, 401, "signed out everywhere");
    assert_eq!(app.call(&ada, Method::DELETE, &path, json!({})).await.0, 404);
    let (_, me) = app.call(&ada, Method::GET, "operators", json!({})).await;
    let path = format!("operators/{}", me["items"][0]["user_id"].as_str().unwrap());
    for (method, path, body) in [
        (Method::DELETE, path.as_str(), json!({})),
        (Method::PATCH, path.as_str(), json!({ "role": "read_only" })),
        (Method::DELETE, "auth/me?confirm=ada@example.com", json!({})),
    ] {
        let (status, problem) = app.call(&ada, method, path, body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("last_owner")), "{path}: {problem}");
    }
    assert_eq!(app.call(&ada, Method::GET, "operators", json!({})).await.0, 200, "still signed in");
    app.operator("cora@example.com").await;
    assert_eq!(app.call(&ada, Method::DELETE, "auth/me?confirm=ada@example.com", json!({})).await.0, 202);
    app.bench.drain().await;
    assert_eq!(app.call(&ada, Method::GET, "operators", json!({})).await.0, 401, "erased");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_may_do_less_makes_no_operator(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let less = Permissions::named(vec!["operators:read".to_owned(), "operators:write".to_owned()]).unwrap();
    let (_, key) = keys::insert(&mut tx, TenantId::SYSTEM, "less", None, &less).await.unwrap();
    let (_, own) = keys::insert(&mut tx, app.bench.tenant_id, "own", None, &Permissions::full()).await.unwrap();
    tx.commit().await.unwrap();
    let new = json!({ "email": "eve@example.com", "name": "Eve", "role": "full" });
    for (key, code) in [(key, "missing_permission"), (own, "operators_only")] {
        let request = app.anonymous(Method::POST, "/api/v1/operators").bearer_auth(&key).json(&new);
        let (status, problem) = answer(request).await;
        assert_eq!((status.as_u16(), &problem["code"]), (403, &json!(code)), "{problem}");
    }
    let missing = format!("/api/v1/operators/{}", Uuid::now_v7());
    let (status, _) = answer(app.request(Method::PATCH, &missing).json(&json!({ "role": "full" }))).await;
    assert_eq!(status, 404);
    let bad = json!({ "email": "eve", "name": "Eve", "role": "king" });
    assert_eq!(app.post("/api/v1/operators", bad).await.0, 400);
}
