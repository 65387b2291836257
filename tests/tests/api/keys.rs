//! Keys: what each allows, and who makes and revokes them.

use jobs::{
    ids::TenantId,
    tenants::{self, keys, permissions::Permissions},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};
use uuid::Uuid;

use super::{OPEN, assert_problem, operations};

async fn key(app: &TestApp, tenant_id: TenantId, permissions: &[&str]) -> String {
    let names = permissions.iter().map(|&name| name.to_owned()).collect();
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let (_, key) = keys::insert(&mut tx, tenant_id, "a key", &Permissions::named(names).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    key
}

async fn call(app: &TestApp, key: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    answer(app.anonymous(method, &format!("/api/v1/{path}")).bearer_auth(key).json(&body)).await
}

/// What an operation says that the key lacks.
async fn missing(app: &TestApp, key: &str, method: &Method, path: &str) -> Option<String> {
    let path = path.replace("{id}", &Uuid::now_v7().to_string());
    let (_, body) = answer(app.anonymous(method.clone(), &path).bearer_auth(key).json(&json!({}))).await;
    let detail = body["detail"].as_str().unwrap_or_default();
    (body["code"] == "missing_permission").then(|| detail.rsplit(' ').next().unwrap().trim_end_matches('.').to_owned())
}

#[sqlx::test(migrations = "../migrations")]
async fn every_operation_asks_for_one_permission_and_takes_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (jobs, posts) =
        (key(&app, TenantId::SYSTEM, &["jobs:read"]).await, key(&app, TenantId::SYSTEM, &["posts:read"]).await);
    for (method, path, id) in operations(&app).await {
        if OPEN.contains(&id.as_str()) {
            continue;
        }
        let needed = match missing(&app, &jobs, &method, &path).await {
            Some(needed) => needed,
            None => missing(&app, &posts, &method, &path).await.unwrap_or_else(|| panic!("{id} asks for nothing")),
        };
        let exact = key(&app, TenantId::SYSTEM, &[&needed]).await;
        assert_eq!(missing(&app, &exact, &method, &path).await, None, "{id} takes {needed}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_read_only_key_changes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let reads = key(&app, TenantId::SYSTEM, &["*:read"]).await;
    for (method, path, id) in operations(&app).await {
        let is_refused = missing(&app, &reads, &method, &path).await.is_some();
        let changes = method != Method::GET || id.starts_with("authorize");
        assert_eq!(is_refused, changes && !OPEN.contains(&id.as_str()), "{id}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_is_made_used_listed_and_revoked(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let body = json!({ "tenant_id": tenant, "name": "till", "permissions": ["jobs:read", "jobs:read"] });
    let (status, made) = app.post("/api/v1/api-keys", body).await;
    assert_eq!((status.as_u16(), &made["permissions"]), (201, &json!(["jobs:read"])), "{made}");
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with(made["prefix"].as_str().unwrap()), "{made}");

    assert_eq!(call(&app, key, Method::GET, "jobs", json!({})).await.0, 200);
    let path = format!("/api/v1/api-keys?tenant_id={tenant}");
    let listed = app.get(&path).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!((&listed["items"][0]["id"], listed["items"][0]["last_used_at"].is_string()), (&made["id"], true));
    let secret = key.rsplit('_').next().unwrap();
    assert!(!listed.to_string().contains(secret), "{listed}");

    let path_of_key = format!("/api/v1/api-keys/{}", made["id"].as_str().unwrap());
    for _ in 0..2 {
        let (status, revoked) = answer(app.request(Method::DELETE, &path_of_key)).await;
        assert!(status == 200 && revoked["revoked_at"].is_string(), "{status} {revoked}");
    }
    let (status, body) = call(&app, key, Method::GET, "jobs", json!({})).await;
    assert_problem(status, &body, 401, "unauthorized");

    let log = app.get(&format!("/api/v1/tenants/{tenant}/audit-log")).await;
    let actions: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["api_key.revoke", "api_key.revoke", "api_key.create"]);
    assert!(!log.to_string().contains(secret), "{log}");
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_gives_more_than_he_has(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let other = tenants::store::insert(&mut tx, "Hults Cafe", "h@example.com", "basic").await.unwrap().id;
    tx.commit().await.unwrap();
    let giver = key(&app, app.bench.tenant_id, &["api-keys:read", "api-keys:write", "jobs:read"]).await;
    let give = async |tenant_id: Option<TenantId>, permissions: &[&str]| {
        let tenant_id = tenant_id.map(|id| id.0);
        let body = json!({ "tenant_id": tenant_id, "name": "given", "permissions": permissions });
        call(&app, &giver, Method::POST, "api-keys", body).await
    };
    let (status, given) = give(None, &["jobs:read"]).await;
    assert_eq!((status.as_u16(), &given["tenant_id"]), (201, &json!(app.bench.tenant_id.0)));
    for beyond in ["*", "*:read", "jobs:retry"] {
        let (status, body) = give(None, &[beyond]).await;
        assert_problem(status, &body, 403, "missing_permission");
    }
    for elsewhere in [other, TenantId::SYSTEM, TenantId::new()] {
        let (status, body) = give(Some(elsewhere), &["jobs:read"]).await;
        assert_problem(status, &body, 404, "not_found");
    }
    let (_, anothers) =
        app.post("/api/v1/api-keys", json!({ "tenant_id": other, "name": "x", "permissions": ["*"] })).await;
    let anothers =
        call(&app, &giver, Method::DELETE, &format!("api-keys/{}", anothers["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(anothers, call(&app, &giver, Method::DELETE, &format!("api-keys/{}", Uuid::now_v7()), json!({})).await);
    assert_problem(anothers.0, &anothers.1, 404, "not_found");
    let own = call(&app, &giver, Method::GET, "api-keys", json!({})).await.1;
    assert_eq!(own["items"].as_array().unwrap().len(), 2, "{own}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_permission_that_there_is_not_is_refused_with_those_that_there_are(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (status, body) = app.post("/api/v1/api-keys", json!({ "name": "x", "permissions": ["jobs:sing"] })).await;
    assert_problem(status, &body, 422, "unknown_permission");
    assert!(body["detail"].as_str().unwrap().contains("jobs:retry"), "{body}");
    for wrong in [json!({ "name": "x", "permissions": [] }), json!({ "name": "", "permissions": ["*"] })] {
        let (status, body) = app.post("/api/v1/api-keys", wrong).await;
        assert!(status.is_client_error(), "{status} {body}");
    }
    let missing = json!({ "tenant_id": Uuid::now_v7(), "name": "x", "permissions": ["*"] });
    let (status, body) = app.post("/api/v1/api-keys", missing).await;
    assert_problem(status, &body, 404, "not_found");
}
