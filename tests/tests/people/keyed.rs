//! Tests of responses to repeated requests: only callers who still have the permission get them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    TestApp, answer,
    people::{PASSWORD, SignedIn},
};

use super::{
    assert_problem,
    members::{join, me, tenant_of},
};

/// Makes a key in a tenant, under an `Idempotency-Key`.
async fn make_key(app: &TestApp, who: &SignedIn, tenant: &str) -> (StatusCode, Value) {
    let body = json!({ "tenant_id": tenant, "name": "till", "permissions": ["*"] });
    let request = app.anonymous(Method::POST, "/api/v1/api-keys").bearer_auth(&who.token);
    answer(request.header("idempotency-key", "make").json(&body)).await
}

/// Returns an owner of the returned tenant, and an admin there who also has their own tenant.
async fn owner_and_admin(app: &TestApp) -> (SignedIn, SignedIn, String) {
    let owner = app.person("owner@example.com").await;
    app.person("admin@example.com").await;
    let tenant = tenant_of(app, &owner).await;
    join(app, &owner, &tenant, "admin@example.com", "admin").await;
    (owner, app.sign_in("admin@example.com", PASSWORD).await, tenant)
}

#[sqlx::test(migrations = "../migrations")]
async fn an_admin_who_is_demoted_or_removed_gets_no_key_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (owner, admin, tenant) = owner_and_admin(&app).await;
    let (status, made) = make_key(&app, &admin, &tenant).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(make_key(&app, &admin, &tenant).await, (status, made));
    let id = me(&app, &admin).await["id"].as_str().unwrap().to_owned();
    let member = format!("tenants/{tenant}/members/{id}");
    assert_eq!(app.call(&owner, Method::PATCH, &member, json!({ "role": "member" })).await.0, 200);
    assert_problem(&make_key(&app, &admin, &tenant).await, 403, "missing_permission");
    assert_eq!(app.call(&owner, Method::DELETE, &member, Value::Null).await.0, 204);
    assert_problem(&make_key(&app, &admin, &tenant).await, 404, "not_found");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_request_is_the_same_in_whichever_tenant_one_works(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_owner, admin, tenant) = owner_and_admin(&app).await;
    let made = make_key(&app, &admin, &tenant).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let switch = format!("tenants/{tenant}/switch");
    assert_eq!(app.call(&admin, Method::POST, &switch, Value::Null).await.0, 200);
    let again = app.sign_in("admin@example.com", PASSWORD).await;
    assert_eq!(me(&app, &again).await["current_tenant_id"], json!(tenant));
    assert_eq!(make_key(&app, &again, &tenant).await, made);
    let body = json!({ "tenant_id": tenant, "name": "till", "permissions": ["*"] });
    let request = app.anonymous(Method::POST, "/api/v1/api-keys").bearer_auth(&again.token).json(&body);
    let elsewhere = request.header("idempotency-key", "make").header("linecook-tenant", &tenant);
    assert_problem(&answer(elsewhere).await, 422, "idempotency_key_reused");
}
