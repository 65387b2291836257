//! Tries every operation of the description as every caller who lacks the permission.

use std::collections::BTreeMap;

use jobs::{
    ids::{SessionId, TenantId, UserId},
    people::access_token,
    signer::Signer,
    tenants::{keys, permissions::Permissions},
};
use reqwest::{Method, StatusCode, multipart};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tests::{TestApp, people::SignedIn, sample};
use uuid::Uuid;

use super::{OPEN, operation, operations};

/// A response: its status and its exact body.
type Answer = (StatusCode, String);

async fn send(app: &TestApp, method: &Method, path: &str, token: &str, body: Option<&Value>) -> Answer {
    let request = app.anonymous(method.clone(), path).bearer_auth(token);
    let is_upload = *method == Method::POST && path.ends_with("/assets");
    let request = match body {
        Some(body) => request.json(body),
        None if is_upload => {
            let file = multipart::Part::bytes(vec![0; 8]).file_name("photo.png");
            request.multipart(multipart::Form::new().part("file", file))
        }
        None => request,
    };
    let answer = request.send().await.unwrap();
    let status = answer.status();
    // A stream would never end, so only refusals are read.
    let text = if status.is_success() { String::new() } else { answer.text().await.unwrap() };
    (status, text)
}

#[sqlx::test(migrations = "../migrations")]
async fn credentials_that_are_none_or_are_over_are_refused_everywhere(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (ada, out) = (app.person("ada@example.com").await, app.person("out@example.com").await);
    app.call(&out, Method::POST, "auth/logout", Value::Null).await;
    let services = &app.bench.engine.services;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let (row, revoked) = keys::insert(&mut tx, app.bench.tenant_id, "x", None, &Permissions::full()).await.unwrap();
    keys::mark_revoked(&mut tx, row.id).await.unwrap();
    let now = tx.now().await.unwrap();
    tx.commit().await.unwrap();
    let session: (SessionId, UserId) = {
        let claims = access_token::read(&services.signer, &app.url, &ada.token).unwrap();
        (claims.sid, claims.sub)
    };
    let token = |signer: &Signer, issuer: &str, minutes: i64| {
        access_token::issue(signer, issuer, session.1, session.0, now + chrono::TimeDelta::minutes(minutes))
    };
    let another = Signer::new(&"another secret".repeat(4)).unwrap();
    let bad = [
        ("revoked key", revoked),
        ("signed out", out.token),
        ("expired", token(&services.signer, &app.url, -16)),
        ("not yet good", token(&services.signer, &app.url, 16)),
        ("another signature", token(&another, &app.url, 0)),
        ("another issuer", token(&services.signer, "https://elsewhere.example.com", 0)),
        ("a refresh token", ada.refresh.clone()),
    ];
    assert_eq!(send(&app, &Method::GET, "/api/v1/auth/me", &token(&services.signer, &app.url, 0), None).await.0, 200);
    for (method, path, id) in operations(&app).await {
        if OPEN.contains(&id.as_str()) {
            continue;
        }
        let path = path.replace("{id}", &Uuid::now_v7().to_string());
        for (what, token) in &bad {
            let (status, body) = send(&app, &method, &path, token, Some(&json!({}))).await;
            assert!(status == 401 && body.contains("\"unauthorized\""), "{id} with {what}: {status} {body}");
        }
    }
}

/// Operations that members may not call, besides those for operators: everything except content.
const BEYOND_MEMBERS: &[&str] = &[
    "create_post",
    "schedule_posts",
    "authorize_facebook",
    "refresh_account",
    "disconnect_account",
    "put_openai_key",
    "delete_openai_key",
    "put_publer_key",
    "delete_publer_key",
    "list_api_keys",
    "create_api_key",
    "revoke_api_key",
    "list_audit_log",
    "list_whole_audit_log",
    "verify_audit_log",
    "verify_operators_audit_log",
    "act_on_jobs",
    "cancel_job",
    "discard_job",
    "resolve_effect",
    "retry_job",
    "run_job_now",
    "create_job",
    "update_tenant",
    "erase_tenant",
    "update_member",
    "remove_member",
    "create_invitation",
    "revoke_invitation",
    "release_parked_account",
];

#[sqlx::test(migrations = "../migrations")]
async fn members_do_what_members_may(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let member = app.person("member@example.com").await;
    app.bench.execute("update tenant_users set role = 'member' where $1 <> tenant_id", Uuid::nil()).await;
    let tenant = app.call(&member, Method::GET, "auth/me", Value::Null).await.1["current_tenant_id"].clone();
    let spec = app.get("/openapi.json").await;
    for (method, path, id) in operations(&app).await {
        let operation = operation(&spec, &method, &path);
        let body = sample::body(&spec, operation, tenant.as_str().unwrap());
        let filled = fill(&path, &BTreeMap::from([("tenants", tenant.as_str().unwrap().to_owned())]));
        let filled = filled + &sample::query(operation);
        if OPEN.contains(&id.as_str()) || id == "logout" || id == "delete_me" || id == "leave_tenant" {
            continue;
        }
        let (status, answer) = send(&app, &method, &filled, &member.token, body.as_ref()).await;
        let is_refused = answer.contains("\"missing_permission\"") || answer.contains("\"operators_only\"");
        let is_for_operators = needs_operator(operation);
        assert_eq!(is_refused, BEYOND_MEMBERS.contains(&id.as_str()) || is_for_operators, "{id}: {status} {answer}");
    }
}

/// Returns true for operations of the engine and about operators, as their permission says.
fn needs_operator(operation: &Value) -> bool {
    let scopes = operation["security"].as_array().into_iter().flatten().map(|scheme| &scheme["bearer"][0]);
    scopes.filter_map(Value::as_str).any(|scope| ["engine:", "operators:"].iter().any(|area| scope.starts_with(area)))
}

/// Fills a path with the ids by the words before them. Ids that are not given are random.
fn fill(path: &str, ids: &BTreeMap<&str, String>) -> String {
    let mut before = "";
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| {
            let filled = match (segment, ids.get(before)) {
                ("{name}", _) => "ai".to_owned(),
                (id, Some(known)) if id.starts_with('{') => known.clone(),
                (id, None) if id.starts_with('{') => Uuid::now_v7().to_string(),
                (plain, _) => plain.to_owned(),
            };
            before = segment;
            filled
        })
        .collect();
    segments.join("/")
}

/// Creates one object of each kind in another tenant, by the word before its id in addresses.
async fn things_of_another(app: &TestApp) -> BTreeMap<&'static str, String> {
    let tenant = app.bench.tenant_id;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let account = app.bench.connect_page().await;
    let asset = app.bench.picture().await;
    let folders = app.get(&format!("/api/v1/tenants/{tenant}/folders")).await;
    let calendar = json!({ "month": "2099-01", "posts": 3 });
    let (_, calendar) = app.post(&format!("/api/v1/tenants/{tenant}/calendars"), calendar).await;
    let post = json!({ "tenant_id": tenant, "account_ids": [account], "caption": "x" });
    let (status, post) = app.post("/api/v1/posts/create", post).await;
    assert_eq!(status, 202, "{post}");
    let key = json!({ "tenant_id": tenant, "name": "x", "permissions": ["*"] });
    let (_, key) = app.post("/api/v1/api-keys", key).await;
    let invitation = json!({ "email": "guest@example.com", "role": "member" });
    let (_, invitation) = app.post(&format!("/api/v1/tenants/{tenant}/invitations"), invitation).await;
    BTreeMap::from([
        ("tenants", tenant.to_string()),
        ("accounts", account.to_string()),
        ("assets", asset.to_string()),
        ("folders", text(&folders["items"][0]["id"])),
        ("calendars", text(&calendar["id"])),
        ("jobs", text(&post["job_ids"][0])),
        ("posts", text(&post["posts"][0]["id"])),
        ("api-keys", text(&key["id"])),
        ("invitations", text(&invitation["id"])),
    ])
}

/// Returns a tenant's rows in every table, as numbers to compare.
async fn rows_of(app: &TestApp, tenant_id: TenantId) -> BTreeMap<String, (i64, i64)> {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
         where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attname = 'tenant_id'",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    let mut rows = BTreeMap::new();
    for table in tables {
        let sql = format!(
            "select count(*), coalesce(sum(hashtext(t::text)::bigint), 0)::bigint from {table} t where tenant_id = $1"
        );
        let found: (i64, i64) = sqlx::query_as(AssertSqlSafe(sql)).bind(tenant_id.0).fetch_one(&mut *tx).await.unwrap();
        rows.insert(table, found);
    }
    rows
}

#[sqlx::test(migrations = "../migrations")]
async fn anothers_things_and_missing_ones_look_the_same_to_the_byte(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let theirs = things_of_another(&app).await;
    let before = rows_of(&app, app.bench.tenant_id).await;
    let spec = app.get("/openapi.json").await;
    let mut tried = 0;
    for (method, path, id) in operations(&app).await {
        let operation = operation(&spec, &method, &path);
        if OPEN.contains(&id.as_str()) || needs_operator(operation) {
            continue;
        }
        let names_a_tenant = sample::body(&spec, operation, "").is_some_and(|body| body.get("tenant_id").is_some());
        if !path.contains('{') && !names_a_tenant {
            continue;
        }
        tried += 1;
        let random: BTreeMap<&str, String> = theirs.keys().map(|sort| (*sort, Uuid::now_v7().to_string())).collect();
        let mut answers = Vec::new();
        for ids in [&theirs, &random] {
            let body = sample::body(&spec, operation, &ids["tenants"]);
            let path = fill(&path, ids) + &sample::query(operation);
            answers.push(send(&app, &method, &path, &owner.token, body.as_ref()).await);
        }
        assert_eq!(answers[0], answers[1], "{id}");
        assert_eq!(answers[0].0, 404, "{id}: {}", answers[0].1);
        if method == Method::GET {
            let there = send(&app, &method, &fill(&path, &theirs), &app.key, None).await;
            assert_eq!(there.0, 200, "{id}: the operator can read it: {}", there.1);
        }
    }
    assert!(tried > 25, "{tried}");
    assert_eq!(rows_of(&app, app.bench.tenant_id).await, before, "the refused requests changed nothing");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_in_a_question_is_one_of_the_callers(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner: SignedIn = app.person("owner@example.com").await;
    let theirs = things_of_another(&app).await;
    let spec = app.get("/openapi.json").await;
    let mut tried = 0;
    for (method, path, id) in operations(&app).await {
        let operation = operation(&spec, &method, &path);
        let asks =
            operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "tenant_id"));
        if !asks || needs_operator(operation) {
            continue;
        }
        tried += 1;
        let (path, needed) = (fill(&path, &theirs), sample::query(operation).replace('?', "&"));
        let ask = async |tenant: String| {
            send(&app, &method, &format!("{path}?tenant_id={tenant}{needed}"), &owner.token, None).await
        };
        let answers = [ask(app.bench.tenant_id.to_string()).await, ask(Uuid::now_v7().to_string()).await];
        assert_eq!(answers[0], answers[1], "{id}");
        assert_eq!(answers[0].0, 404, "{id}");
    }
    assert!(tried >= 3, "{tried}");
}
