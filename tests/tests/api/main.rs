//! Tests of the API's common rules: authentication, refusals and their format.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod accounts;
mod bodies;
mod browsers;
mod hooks;
mod idempotency;
mod input;
mod keys;
mod limits;
mod names;
mod providers;
mod routes;
mod service_keys;
mod strange;

use std::io::Cursor;

use jobs::tenants;
use reqwest::{Method, StatusCode, multipart};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};
use uuid::Uuid;

/// Operations that need no credentials: health, the provider's callback, and the ways to get
/// credentials.
const OPEN: &[&str] = &[
    "get_health",
    "get_health_db",
    "get_health_redis",
    "get_health_workers",
    "callback_facebook",
    "report_deauthorization",
    "report_data_deletion",
    "register",
    "verify_email",
    "login",
    "refresh",
    "forgot_password",
    "login_with_code",
    "confirm_address",
    "reset_password",
    "accept_invitation",
];

async fn operations(app: &TestApp) -> Vec<(Method, String, String)> {
    let spec = app.get("/openapi.json").await;
    let mut operations = Vec::new();
    for (path, methods) in spec["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            operations.push((method, path.clone(), operation["operationId"].as_str().unwrap().to_owned()));
        }
    }
    operations
}

/// An operation's description.
fn operation<'a>(spec: &'a Value, method: &Method, path: &str) -> &'a Value {
    &spec["paths"][path][method.as_str().to_lowercase()]
}

fn assert_problem(status: StatusCode, body: &Value, expected: u16, code: &str) {
    assert_eq!((status.as_u16(), body["code"].as_str()), (expected, Some(code)), "{body}");
    assert_eq!(body["status"], json!(expected), "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
}

#[sqlx::test(migrations = "../migrations")]
async fn every_operation_wants_a_key(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let operations = operations(&app).await;
    assert!(operations.len() > 20, "{}", operations.len());
    for (method, path, id) in operations {
        let path = path.replace("{id}", &Uuid::now_v7().to_string());
        for key in [None, Some("lk_wrong"), Some("nonsense")] {
            let request = app.anonymous(method.clone(), &path).json(&json!({}));
            let request = if let Some(key) = key { request.bearer_auth(key) } else { request };
            let (status, body) = answer(request).await;
            if OPEN.contains(&id.as_str()) {
                assert_ne!(status, 401, "{id}");
            } else {
                assert_eq!(
                    (status.as_u16(), body["code"].as_str()),
                    (401, Some("unauthorized")),
                    "anybody may call {id}: give its handler a `#[oai(scope = \"Needs::...\")] caller: Caller`, \
                     or list it in OPEN: {body}"
                );
            }
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_revoked_key_is_none(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.bench.execute("update api_keys set revoked_at = now() where tenant_id = $1", Uuid::nil()).await;
    let (status, body) = answer(app.request(Method::GET, "/api/v1/jobs")).await;
    assert_problem(status, &body, 401, "unauthorized");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_does_not_exist_is_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = Uuid::now_v7();
    for path in [
        "tenants/{id}",
        "tenants/{id}/accounts",
        "tenants/{id}/folders",
        "tenants/{id}/posts",
        "calendars/{id}",
        "jobs/{id}",
        "folders/{id}/assets",
        "assets/{id}/content",
        "oauth/facebook/authorize?tenant_id={id}",
    ] {
        let path = format!("/api/v1/{}", path.replace("{id}", &id.to_string()));
        let (status, body) = answer(app.request(Method::GET, &path)).await;
        assert_problem(status, &body, 404, "not_found");
    }
    let system = format!("/api/v1/tenants/{}", Uuid::nil());
    assert_eq!(answer(app.request(Method::GET, &system)).await.0, 404, "the system tenant is nobody's");
}

#[sqlx::test(migrations = "../migrations")]
async fn another_tenants_things_are_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let account = app.bench.connect_page().await;
    let asset = app.bench.picture().await;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let other =
        tenants::store::insert(&mut tx, "Hults Cafe", "h@example.com", tenants::plans::Plan::Basic).await.unwrap().id;
    tx.commit().await.unwrap();
    let with = |account: Value, asset: Value| json!({ "tenant_id": other, "account_ids": [account], "caption": "x", "asset_id": asset });
    let mut answers = Vec::new();
    for body in [with(json!(account), json!(null)), with(json!(Uuid::now_v7()), json!(null))] {
        answers.push(app.post("/api/v1/posts/create", body).await);
    }
    assert_eq!(answers[0], answers[1], "another's and a missing account look the same");
    assert_problem(answers[0].0, &answers[0].1, 404, "not_found");
    let (status, body) = app.post("/api/v1/posts/create", with(json!(account), json!(asset))).await;
    assert_problem(status, &body, 404, "not_found");
    let posts = app.get(&format!("/api/v1/tenants/{other}/posts")).await;
    assert_eq!(posts["items"], json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn wrong_input_is_refused_with_what_to_do(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let long = "x".repeat(3000);
    for (path, body, status) in [
        ("tenants", json!({ "name": "a\u{0}b", "email": "a@b", "plan": "pro" }), 422),
        ("posts/create", json!({ "tenant_id": tenant, "account_ids": [Uuid::now_v7()], "caption": "  " }), 422),
        (
            "jobs",
            json!({ "tenant_id": tenant, "kind": "publish_post", "copies": 2,
            "args": { "delivery_id": Uuid::now_v7() } }),
            422,
        ),
        ("tenants", json!({ "name": "", "email": "a@b", "plan": "pro" }), 400),
        ("tenants", json!({ "name": "A", "email": "nobody", "plan": "pro" }), 400),
        ("tenants", json!({ "name": "A", "email": "a@b", "plan": "gold" }), 400),
        ("tenants", json!({ "name": "A", "email": "a@b", "plan": "pro", "role": "owner" }), 400),
        ("jobs", json!({ "tenant_id": tenant, "kind": "nope", "args": {} }), 422),
        ("jobs", json!({ "tenant_id": tenant, "kind": "publish_post", "args": {} }), 422),
        ("jobs", json!({ "tenant_id": tenant, "kind": "noop", "args": {}, "copies": 0 }), 400),
        ("jobs", json!({ "tenant_id": Uuid::now_v7(), "kind": "noop", "args": {} }), 404),
        ("posts/create", json!({ "tenant_id": tenant, "account_ids": [], "caption": "x" }), 400),
        ("posts/create", json!({ "tenant_id": tenant, "account_ids": [Uuid::now_v7()], "caption": long }), 400),
        (
            "posts/schedule",
            json!({ "tenant_id": tenant, "account_id": Uuid::now_v7(),
            "posts": [{ "post_id": Uuid::now_v7() }] }),
            404,
        ),
        ("folders", json!({ "tenant_id": tenant, "name": "" }), 400),
    ] {
        let (answered, problem) = app.post(&format!("/api/v1/{path}"), body.clone()).await;
        assert_eq!(answered.as_u16(), status, "{path} {body}: {problem}");
        assert!(problem["code"].is_string() && problem["detail"].is_string(), "{problem}");
    }
    let path = format!("/api/v1/tenants/{tenant}/calendars");
    for month in ["2026-13", "December", "2026-1"] {
        let (status, problem) = app.post(&path, json!({ "month": month, "posts": 3 })).await;
        assert!(status.is_client_error(), "{month}: {problem}");
    }
    for path in ["jobs?limit=0", "jobs?limit=9999", "jobs?after=nonsense", "jobs?tenant_id=nonsense", "jobs/nonsense"] {
        let (status, problem) = answer(app.request(Method::GET, &format!("/api/v1/{path}"))).await;
        assert!(status.is_client_error() && problem["code"].is_string(), "{path}: {status} {problem}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_the_framework_refuses_is_a_problem_too(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let json = |request: reqwest::RequestBuilder, body: &str| {
        request.header("content-type", "application/json").body(body.to_owned())
    };
    let (status, body) = answer(app.request(Method::GET, "/nowhere")).await;
    assert_problem(status, &body, 404, "not_found");
    let (status, body) = answer(app.request(Method::DELETE, "/api/v1/jobs")).await;
    assert_problem(status, &body, 405, "method_not_allowed");
    let (status, body) = answer(json(app.request(Method::POST, "/api/v1/tenants"), "{")).await;
    assert_problem(status, &body, 400, "malformed");
    let (status, body) = answer(app.request(Method::POST, "/api/v1/tenants").body("name=x")).await;
    assert_problem(status, &body, 415, "unsupported_media_type");
    let huge = format!(r#"{{"name":"{}"}}"#, "x".repeat(300 * 1024));
    let (status, body) = answer(json(app.request(Method::POST, "/api/v1/tenants"), &huge)).await;
    assert_problem(status, &body, 413, "too_large");
}

#[sqlx::test(migrations = "../migrations")]
async fn only_pictures_are_taken_and_told_from_their_bytes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, folder) = app.post("/api/v1/folders", json!({ "tenant_id": app.bench.tenant_id, "name": "P" })).await;
    let (status, body) = app.post("/api/v1/folders", json!({ "tenant_id": app.bench.tenant_id, "name": "P" })).await;
    assert_problem(status, &body, 409, "folder_exists");
    let path = format!("/api/v1/folders/{}/assets", folder["id"].as_str().unwrap());
    let upload = |bytes: Vec<u8>, name: &'static str| {
        let part = multipart::Part::bytes(bytes).file_name(name).mime_str("image/jpeg").unwrap();
        answer(app.request(Method::POST, &path).multipart(multipart::Form::new().part("file", part)))
    };
    let mut png = Cursor::new(Vec::new());
    image::RgbImage::new(64, 48).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let (status, asset) = upload(png.into_inner(), "said-to-be.jpg").await;
    assert_eq!((status.as_u16(), &asset["content_type"]), (201, &json!("image/png")));
    let (status, body) = upload(b"<script>".to_vec(), "page.jpg").await;
    assert_problem(status, &body, 422, "not_a_picture");
    let (status, body) = upload(vec![0xff; 21 * 1024 * 1024], "huge.jpg").await;
    assert_problem(status, &body, 413, "too_large");
    let form = multipart::Form::new().text("tags", "a");
    let (status, body) = answer(app.request(Method::POST, &path).multipart(form)).await;
    assert_problem(status, &body, 422, "not_a_picture");
    let (status, body) = upload(b"x".to_vec(), "").await;
    assert_problem(status, &body, 422, "not_a_picture");
    assert!(body["detail"].as_str().unwrap().contains("filename"), "{body}");
    let listed = app.get(&path).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn lists_go_on_where_the_last_page_ended(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {}, "copies": 25 });
    assert_eq!(app.post("/api/v1/jobs", body).await.0, 202);
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/api/v1/jobs?limit=10&kind=noop{after}")).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((count, seen.len()), (25, 25));
}

#[sqlx::test(migrations = "../migrations")]
async fn staff_see_a_job_retry_it_and_cancel_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body =
        json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {}, "run_at": "2099-01-01T00:00:00Z" });
    let (_, job) = app.post("/api/v1/jobs", body).await;
    let path = format!("/api/v1/jobs/{}", job["job_id"].as_str().unwrap());
    assert_eq!(app.get(&path).await["state"], "scheduled");
    let (status, problem) = app.post(&format!("{path}/retry"), json!({})).await;
    assert_problem(status, &problem, 409, "wrong_state");
    assert_eq!(app.post(&format!("{path}/cancel"), json!({})).await.1["state"], "cancelled");
    assert_eq!(app.post(&format!("{path}/retry"), json!({})).await.1["state"], "available");
    app.bench.drain().await;
    let job = app.get(&path).await;
    assert_eq!((&job["state"], &job["attempts"], &job["effects"]), (&json!("completed"), &json!([]), &json!([])));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_description_is_the_committed_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let served = app.get("/openapi.json").await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../admin/openapi.json");
    let served = format!("{}\n", serde_json::to_string_pretty(&served).unwrap());
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    if committed != served {
        std::fs::write(file, served).unwrap();
        panic!("the API changed: admin/openapi.json was written anew, look at the difference and commit it");
    }
    for page in ["/docs", "/redoc"] {
        let (status, body) = answer(app.anonymous(Method::GET, page)).await;
        assert!(status.is_success() && body.as_str().unwrap().contains("<html"), "{page}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn health_says_what_answers(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in ["/health", "/health/db", "/health/redis", "/health/workers"] {
        let (status, body) = answer(app.anonymous(Method::GET, path)).await;
        assert_eq!((status.as_u16(), &body["status"]), (200, &json!("ok")), "{path}");
    }
}
