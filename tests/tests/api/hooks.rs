//! Calls of Meta: a person removed the app, or wants their data erased.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::PgPool;
use tests::{TestApp, answer};

use super::assert_problem;

const PERSON: &str = "10220000000000011";
const SECRET: &str = "sandbox-app-secret";
const HOOKS: [&str; 2] = ["/hooks/meta/deauthorize", "/hooks/meta/data-deletion"];

fn signed_text(secret: &str, payload: &str) -> String {
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&payload);
    format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn payload(issued_at: i64) -> Value {
    json!({ "user_id": PERSON, "algorithm": "HMAC-SHA256", "issued_at": issued_at })
}

fn signed(payload: &Value) -> String {
    signed_text(SECRET, &payload.to_string())
}

async fn now(app: &TestApp) -> i64 {
    app.bench.engine.db.system().await.unwrap().now().await.unwrap().timestamp()
}

async fn call(app: &TestApp, hook: &str, signed_request: &str) -> (reqwest::StatusCode, Value) {
    answer(app.anonymous(Method::POST, hook).form(&[("signed_request", signed_request)])).await
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap()
}

const LIVE: &str = "select count(*) from oauth_tokens where access_token <> ''";
const REPORTS: &str = "select count(*) from deauthorizations";

#[sqlx::test(migrations = "../migrations")]
async fn a_person_who_removed_the_app_is_disconnected(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.bench.connect_page().await;
    let report = signed(&payload(now(&app).await));
    for _ in 0..2 {
        assert_eq!(call(&app, HOOKS[0], &report).await.0, 200);
        app.bench.drain().await;
        assert_eq!((count(&app, LIVE).await, count(&app, REPORTS).await), (0, 1));
    }
    let accounts = app.get(&format!("/api/v1/tenants/{}/accounts", app.bench.tenant_id)).await;
    assert_eq!(accounts["items"][0]["status"], "needs_reauth");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_person_sees_what_was_erased(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.bench.connect_page().await;
    let report = signed(&payload(now(&app).await));
    let (status, body) = call(&app, HOOKS[1], &report).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(call(&app, HOOKS[1], &report).await.1, body, "twice it is one");
    let (url, code) = (body["url"].as_str().unwrap(), body["confirmation_code"].as_str().unwrap());
    let path = url.strip_prefix(&app.url).expect("an address of ours");
    assert_eq!(path, format!("/data-deletion/{code}"));
    let page = async |path: &str| {
        let answer = app.anonymous(Method::GET, path).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let before = page(path).await;
    assert!(before.0 == 200 && before.1.contains("is being erased"), "{before:?}");
    app.bench.drain().await;
    let after = page(path).await;
    assert!(after.0 == 200 && after.1.contains("all 2 permissions") && !after.1.contains(PERSON), "{after:?}");
    let person = "select count(*) from oauth_tokens where subject_id = '10220000000000011'";
    assert_eq!((count(&app, LIVE).await, count(&app, person).await), (0, 0));

    let deauthorized = signed(&json!({ "user_id": "5", "algorithm": "HMAC-SHA256", "issued_at": now(&app).await }));
    call(&app, HOOKS[0], &deauthorized).await;
    for other in ["x", &code[1..], &format!("{code}A"), &"A".repeat(64)] {
        assert_eq!(page(&format!("/data-deletion/{other}")).await.0, 404, "{other}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_meta_did_not_sign_is_refused_and_changes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.bench.connect_page().await;
    let now = now(&app).await;
    let good = signed(&payload(now));
    let (signature, encoded) = good.split_once('.').unwrap();
    let with = |name: &str, value: Value| {
        let mut payload = payload(now);
        payload[name] = value;
        signed(&payload)
    };
    let bad = [
        String::new(),
        "nonsense".to_owned(),
        encoded.to_owned(),
        format!(".{encoded}"),
        format!("{signature}."),
        format!("{signature}A.{encoded}"),
        format!("{signature}.{}", URL_SAFE_NO_PAD.encode(payload(now + 1).to_string())),
        format!("{good}="),
        good.replacen('.', "..", 1),
        signed_text("another-secret", &payload(now).to_string()),
        signed_text("", &payload(now).to_string()),
        signed_text(SECRET, "null"),
        with("algorithm", json!("none")),
        with("algorithm", json!("HMAC-SHA1")),
        with("issued_at", json!(now - 90_000)),
        with("issued_at", json!(now + 3_600)),
        with("user_id", json!(null)),
        format!("\u{fffd}{good}"),
        "A".repeat(5_000),
    ];
    for hook in HOOKS {
        for signed_request in &bad {
            let (status, body) = call(&app, hook, signed_request).await;
            assert_eq!(status, 400, "{signed_request}: {body}");
        }
        let json = app.anonymous(Method::POST, hook).json(&json!({ "signed_request": good }));
        assert_problem_of(json, 415, "unsupported_media_type").await;
        assert_problem_of(app.anonymous(Method::POST, hook).form(&[("other", "x")]), 400, "malformed").await;
        let huge = "A".repeat(100_000);
        let request = app.anonymous(Method::POST, hook).form(&[("signed_request", huge.as_str())]);
        assert_problem_of(request, 413, "too_large").await;
    }
    let (status, body) = call(&app, "/hooks/myspace/deauthorize", &good).await;
    assert_problem(status, &body, 404, "not_found");
    app.bench.drain().await;
    assert_eq!((count(&app, LIVE).await, count(&app, REPORTS).await), (2, 0));
}

async fn assert_problem_of(request: reqwest::RequestBuilder, expected: u16, code: &str) {
    let (status, body) = answer(request).await;
    assert_problem(status, &body, expected, code);
}
