//! Tests of API keys: their permissions, and who creates and revokes them.

use std::collections::BTreeMap;

use jobs::{
    ids::TenantId,
    secrets,
    tenants::{self, keys, permissions::Permissions},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};
use uuid::Uuid;

use super::{OPEN, assert_problem, operations};

/// The permission that each operation needs.
const ASKS_FOR: [(&str, &str); 58] = [
    ("list_accounts", "accounts:read"),
    ("authorize_facebook", "accounts:write"),
    ("list_api_keys", "api-keys:read"),
    ("create_api_key", "api-keys:write"),
    ("revoke_api_key", "api-keys:write"),
    ("get_asset_content", "assets:read"),
    ("list_assets", "assets:read"),
    ("list_folders", "assets:read"),
    ("create_folder", "assets:write"),
    ("create_overlay", "assets:write"),
    ("upload_asset", "assets:write"),
    ("list_audit_log", "audit:read"),
    ("list_whole_audit_log", "audit:read"),
    ("get_calendar", "calendars:read"),
    ("create_calendar", "calendars:write"),
    ("get_stats", "engine:read"),
    ("list_parked_accounts", "engine:read"),
    ("list_periodic", "engine:read"),
    ("list_queues", "engine:read"),
    ("list_workers", "engine:read"),
    ("pause_periodic", "engine:write"),
    ("pause_queue", "engine:write"),
    ("release_parked_account", "engine:write"),
    ("resume_periodic", "engine:write"),
    ("resume_queue", "engine:write"),
    ("run_periodic", "engine:write"),
    ("update_queue", "engine:write"),
    ("get_job", "jobs:read"),
    ("list_jobs", "jobs:read"),
    ("stream_job_events", "jobs:read"),
    ("act_on_jobs", "jobs:retry"),
    ("cancel_job", "jobs:retry"),
    ("discard_job", "jobs:retry"),
    ("resolve_effect", "jobs:retry"),
    ("retry_job", "jobs:retry"),
    ("run_job_now", "jobs:retry"),
    ("create_job", "jobs:write"),
    ("list_posts", "posts:read"),
    ("create_post", "posts:write"),
    ("schedule_posts", "posts:write"),
    ("get_tenant", "tenants:read"),
    ("get_tenant_usage", "tenants:read"),
    ("list_tenants", "tenants:read"),
    ("create_tenant", "tenants:write"),
    ("list_members", "members:read"),
    ("list_invitations", "members:read"),
    ("update_member", "members:write"),
    ("remove_member", "members:write"),
    ("create_invitation", "members:write"),
    ("revoke_invitation", "members:write"),
    ("get_me", PERSON),
    ("update_me", PERSON),
    ("delete_me", PERSON),
    ("logout", PERSON),
    ("switch_tenant", PERSON),
    ("leave_tenant", PERSON),
    ("erase_tenant", "tenants:write"),
    ("update_tenant", "tenants:write"),
];

/// The need of an operation without a permission: only a signed-in person may call it, no key.
const PERSON: &str = "a person";

async fn key(app: &TestApp, tenant_id: TenantId, permissions: &[&str]) -> String {
    let names = permissions.iter().map(|&name| name.to_owned()).collect();
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let (_, key) = keys::insert(&mut tx, tenant_id, "a key", None, &Permissions::named(names).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    key
}

async fn call(app: &TestApp, key: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    answer(app.anonymous(method, &format!("/api/v1/{path}")).bearer_auth(key).json(&body)).await
}

/// Returns the permission that an operation says the key lacks.
async fn missing(app: &TestApp, key: &str, method: &Method, path: &str) -> Option<String> {
    let path = path.replace("{id}", &Uuid::now_v7().to_string());
    let (_, body) = answer(app.anonymous(method.clone(), &path).bearer_auth(key).json(&json!({}))).await;
    let detail = body["detail"].as_str().unwrap_or_default();
    if body["code"] == "people_only" {
        return Some(PERSON.to_owned());
    }
    (body["code"] == "missing_permission").then(|| detail.rsplit(' ').next().unwrap().trim_end_matches('.').to_owned())
}

#[sqlx::test(migrations = "../migrations")]
async fn every_operation_asks_for_one_permission_and_takes_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (jobs, posts) =
        (key(&app, TenantId::SYSTEM, &["jobs:read"]).await, key(&app, TenantId::SYSTEM, &["posts:read"]).await);
    let asks_for: BTreeMap<&str, &str> = ASKS_FOR.into_iter().collect();
    for (method, path, id) in operations(&app).await {
        if OPEN.contains(&id.as_str()) {
            continue;
        }
        let &needed = asks_for.get(id.as_str()).unwrap_or_else(|| panic!("say what {id} asks for"));
        let without = if needed == "jobs:read" { &posts } else { &jobs };
        assert_eq!(missing(&app, without, &method, &path).await.as_deref(), Some(needed), "{id}");
        if needed == PERSON {
            continue;
        }
        let exact = key(&app, TenantId::SYSTEM, &[needed]).await;
        assert_eq!(missing(&app, &exact, &method, &path).await, None, "{id}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_read_only_key_changes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let reads = key(&app, TenantId::SYSTEM, &["*:read"]).await;
    for (method, path, id) in operations(&app).await {
        let is_refused = missing(&app, &reads, &method, &path).await.is_some();
        let changes = method != Method::GET || id.starts_with("authorize") || id == "get_me";
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
async fn a_key_of_before_is_still_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let key = format!("lk_{}", secrets::random_token());
    let sql = "insert into api_keys (id, tenant_id, name, prefix, secret_sha256, permissions)
        values ($1, $2, 'of before', 'lk_', $3, '{*}')";
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let insert = sqlx::query(sql).bind(Uuid::now_v7()).bind(app.bench.tenant_id.0).bind(secrets::fingerprint(&key));
    insert.execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(call(&app, &key, Method::GET, "jobs", json!({})).await.0, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_revokes_a_key_that_does_more_than_his(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let weak = key(&app, TenantId::SYSTEM, &["api-keys:read", "api-keys:write"]).await;
    let keys = call(&app, &weak, Method::GET, "api-keys", json!({})).await.1;
    let (own, strong) = (&keys["items"][0], &keys["items"][1]);
    assert_eq!(strong["permissions"], json!(["*"]));
    let revoke = async |row: &Value| {
        call(&app, &weak, Method::DELETE, &format!("api-keys/{}", row["id"].as_str().unwrap()), json!({})).await
    };
    let (status, body) = revoke(strong).await;
    assert_problem(status, &body, 403, "missing_permission");
    assert_eq!(app.get("/api/v1/api-keys").await["items"][1]["revoked_at"], Value::Null);
    assert_eq!(revoke(own).await.0, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_gives_more_than_he_has(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let other =
        tenants::store::insert(&mut tx, "Hults Cafe", "h@example.com", tenants::plans::Plan::Basic).await.unwrap().id;
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
