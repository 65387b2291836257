//! Tests of API keys: their permissions, and who creates and revokes them.

use std::collections::{BTreeMap, BTreeSet};

use jobs::{
    ids::TenantId,
    kinds, secrets,
    tenants::{
        self, keys,
        permissions::{self, Permissions},
    },
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};
use uuid::Uuid;

use super::{OPEN, assert_problem, operation, operations};

/// The declaration of operations for a signed-in person: every key is refused.
const PERSON: &str = "person";

/// The same, but operators' keys that may make tenants are accepted too.
const NEW_TENANT: &str = "person-or-tenants:write";

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

/// Calls an operation. Returns the permission that it says the key lacks, or the code of another
/// refusal.
async fn forbidden(app: &TestApp, key: &str, method: &Method, path: &str) -> Option<String> {
    let path = path.replace("{id}", &Uuid::now_v7().to_string());
    let request = app.anonymous(method.clone(), &path).bearer_auth(key).json(&json!({}));
    let response = request.send().await.unwrap();
    let status = response.status();
    // A stream goes on for minutes, so only refusals are read.
    if status.is_success() {
        return None;
    }
    let body: Value = response.json().await.unwrap_or_default();
    let detail = body["detail"].as_str().unwrap_or_default();
    match body["code"].as_str() {
        Some("people_only") => Some(PERSON.to_owned()),
        Some("missing_permission") => Some(detail.rsplit(' ').next().unwrap().trim_end_matches('.').to_owned()),
        other => (status == 403).then(|| other.unwrap_or_default().to_owned()),
    }
}

/// Returns the permission that an operation declares: one, the same for every way to sign in.
fn declared<'a>(operation: &'a Value, id: &str) -> &'a str {
    let ways = operation["security"].as_array().unwrap();
    let scopes: BTreeSet<&str> = ways
        .iter()
        .flat_map(|way| way.as_object().unwrap().values())
        .flat_map(|scopes| scopes.as_array().unwrap())
        .map(|scope| scope.as_str().unwrap())
        .collect();
    assert!(
        scopes.len() == 1,
        "{id} declares {scopes:?}, not one permission: write `#[oai(scope = \"Needs::...\")]` before the `caller: Caller` of \
         its handler in admin/src/api; admin/src/auth/required_permission.rs has those that there are"
    );
    scopes.into_iter().next().unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn every_operation_needs_the_permission_that_it_declares_and_no_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let spec = app.get("/openapi.json").await;
    let mut keys = BTreeMap::new();
    for needed in permissions::ALL {
        let others: Vec<&str> = permissions::ALL.iter().copied().filter(|other| other != needed).collect();
        let without = key(&app, TenantId::SYSTEM, &others).await;
        keys.insert(*needed, (without, key(&app, TenantId::SYSTEM, &[needed]).await));
    }
    for (method, path, id) in operations(&app).await {
        if OPEN.contains(&id.as_str()) {
            continue;
        }
        let operation = operation(&spec, &method, &path);
        let declared = declared(operation, &id);
        let needed = if declared == NEW_TENANT { "tenants:write" } else { declared };
        if needed == PERSON {
            assert_eq!(forbidden(&app, &app.key, &method, &path).await.as_deref(), Some(PERSON), "{id}");
            continue;
        }
        let description = operation["description"].as_str().unwrap_or_default();
        assert!(description.contains(&format!("the permission `{needed}`.")), "{id}: {description}");
        let (without, exact) =
            keys.get(needed).unwrap_or_else(|| panic!("{id} declares {needed}, which is no permission"));
        assert_eq!(forbidden(&app, without, &method, &path).await.as_deref(), Some(needed), "{id}");
        assert_eq!(forbidden(&app, exact, &method, &path).await, None, "{id} needs more than {needed}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_read_only_key_changes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let reads = key(&app, TenantId::SYSTEM, &["*:read"]).await;
    let spec = app.get("/openapi.json").await;
    for (method, path, id) in operations(&app).await {
        let is_refused = forbidden(&app, &reads, &method, &path).await.is_some();
        let changes = method != Method::GET || id.starts_with("authorize");
        let is_open = OPEN.contains(&id.as_str());
        let is_for_people = !is_open && declared(operation(&spec, &method, &path), &id) == PERSON;
        assert_eq!(is_refused, is_for_people || changes && !is_open, "{id}");
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

#[sqlx::test(migrations = "../migrations")]
async fn a_job_is_enqueued_by_those_only_who_may_do_what_it_does(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let enqueue = async |permissions: &[&str], kind: &str| {
        let key = key(&app, tenant, permissions).await;
        let body = json!({ "tenant_id": tenant, "kind": kind, "args": {} });
        call(&app, &key, Method::POST, "jobs", body).await
    };
    let for_tenants = kinds::KINDS.iter().filter(|kind| kinds::find(kind.name).is_some());
    for (kind, permission) in for_tenants.filter_map(|kind| Some((kind.name, kind.permission?))) {
        let others: Vec<&str> = permissions::ALL.iter().copied().filter(|other| *other != permission).collect();
        let (status, body) = enqueue(&others, kind).await;
        assert_problem(status, &body, 403, "missing_permission");
        assert!(body["detail"].as_str().unwrap().contains(permission), "{kind}: {body}");
        let (status, body) = enqueue(&["jobs:write", permission], kind).await;
        assert_ne!(status, 403, "{kind}: {body}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_address_that_is_not_described_leads_to_no_operation(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in
        ["/api/v1/jobs/", "/api/v1//jobs", "/api/v1/%6Aobs", "/api/v1/JOBS", "/api/v1/tenants//posts", "/api/v1/."]
    {
        let (status, body) = answer(app.request(Method::GET, path)).await;
        assert_problem(status, &body, 404, "not_found");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_published_before_publishing_took_a_permission_still_does(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let keys = [
        (key(&app, tenant, &["posts:write", "jobs:read"]).await, None),
        (key(&app, tenant, &["posts:read"]).await, Some("posts:publish")),
    ];
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let migration = include_str!("../../../migrations/20261127000001_give_keys_publishing.sql");
    sqlx::raw_sql(migration).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    for (key, refused) in keys {
        assert_eq!(forbidden(&app, &key, &Method::POST, "/api/v1/posts/create").await.as_deref(), refused);
    }
}
