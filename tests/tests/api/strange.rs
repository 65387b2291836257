//! Requests of strangers. Whatever their headers and bodies hold, nothing panics and no response
//! is a 5xx.

use futures_util::{StreamExt as _, stream};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};
use uuid::Uuid;

use super::{
    assert_problem,
    input::{address, right},
};

/// Requests at once.
const AT_ONCE: usize = 8;

const HEADERS: [&str; 18] = [
    "accept",
    "accept-encoding",
    "authorization",
    "content-type",
    "cookie",
    "forwarded",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "last-event-id",
    "linecook-tenant",
    "origin",
    "range",
    "referer",
    "sec-fetch-site",
    "user-agent",
    "x-forwarded-for",
];

/// Returns as many values as a property has cases.
fn generated<S: Strategy>(strategy: S) -> impl Iterator<Item = S::Value> {
    let mut runner = TestRunner::default();
    (0..runner.config().cases).map(move |_| strategy.new_tree(&mut runner).expect("a value").current())
}

fn header() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "(Bearer|Basic|bearer|lk_|,|;|=| |\"|W/|bytes=|-|[0-9]{1,20}|[a-z]{1,9}|[^\\x00]){0,9}"
            .prop_map(String::into_bytes),
        Just(Uuid::nil().to_string().into_bytes()),
        Just(b"multipart/form-data; boundary=b".to_vec()),
        Just(b"application/json; charset=utf-16".to_vec()),
    ];
    (prop::sample::select(HEADERS.to_vec()), value).prop_filter_map("not a header", |(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?))
    })
}

#[sqlx::test(migrations = "../migrations")]
async fn headers_of_any_bytes_are_no_failure_of_ours(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let folder = json!({ "tenant_id": app.bench.tenant_id, "name": "Strange" });
    let asset = app.bench.picture().await;
    let targets = [
        (Method::GET, "/api/v1/jobs".to_owned()),
        (Method::POST, "/api/v1/folders".to_owned()),
        (Method::GET, format!("/api/v1/assets/{asset}/content")),
        (Method::GET, "/api/v1/auth/me".to_owned()),
        (Method::POST, "/api/v1/auth/refresh".to_owned()),
        (Method::GET, "/docs".to_owned()),
        (Method::GET, "/openapi.json".to_owned()),
        (Method::GET, "/sign-in".to_owned()),
        (Method::POST, "/sign-in".to_owned()),
        (Method::GET, "/connect/x".to_owned()),
        (Method::OPTIONS, "/api/v1/jobs".to_owned()),
    ];
    let strategy = (prop::sample::select(targets.to_vec()), prop::collection::vec(header(), 1..4), any::<bool>());
    let answers = stream::iter(generated(strategy)).map(|((method, path), headers, has_key)| {
        let mut request = app.anonymous(method.clone(), &path);
        if has_key && headers.iter().all(|(name, _)| name != "authorization") {
            request = request.bearer_auth(&app.key);
        }
        if method == Method::POST {
            request = request.json(&folder);
        }
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        async move {
            let status =
                request.send().await.unwrap_or_else(|error| panic!("{method} {path} {headers:?}: {error}")).status();
            assert!(!status.is_server_error(), "{method} {path} {headers:?}: {status}");
            status.is_success()
        }
    });
    let accepted = answers.buffer_unordered(AT_ONCE).filter(|is_success| std::future::ready(*is_success)).count().await;
    assert!(accepted > 0, "all was refused");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[+-]?[0-9]{4,5}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})".prop_map(Value::from),
        Just(json!(Uuid::nil())),
        Just(json!("9999-12-31T23:59:59-01:00")),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,9}|.", inner, 0..6).prop_map(|fields| json!(fields)),
        ]
    })
}

/// Every operation with a JSON body: its method, its address, and a body that it may take.
fn bodies(document: &Value) -> Vec<(Method, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json; charset=utf-8"]["schema"];
            if schema.is_object() {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let address = address(path, &parameters, document, &[]);
                found.push((method.to_uppercase().parse().unwrap(), address, right(schema, document)));
            }
        }
    }
    found
}

#[sqlx::test(migrations = "../migrations")]
async fn json_of_any_shape_is_no_failure_of_ours(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let bodies = bodies(&app.get("/openapi.json").await);
    assert!(bodies.len() > 20, "{}", bodies.len());
    let operation = prop::sample::select(bodies).prop_flat_map(|(method, path, body)| {
        let names: Vec<String> = body.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
        let names = if names.is_empty() { vec!["x".to_owned()] } else { names };
        let one_field = (prop::sample::select(names), any_json()).prop_map(move |(name, value)| {
            let mut body = body.clone();
            body[name] = value;
            body.to_string().into_bytes()
        });
        let body = prop_oneof![
            3 => one_field,
            1 => any_json().prop_map(|json| json.to_string().into_bytes()),
            1 => r#"(\{|\}|\[|\]|"|:|,|\\u|d83c|0000|null|1e999|-|[0-9]|[a-z]){0,20}"#.prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..80),
        ];
        (Just(method), Just(path), body)
    });
    let answers = stream::iter(generated(operation)).map(|(method, path, body)| {
        let request = app.request(method.clone(), &path).header("content-type", "application/json").body(body.clone());
        async move {
            let (status, problem) = answer(request).await;
            let body = String::from_utf8_lossy(&body);
            assert!(!status.is_server_error(), "{method} {path} {body}: {status} {problem}");
        }
    });
    answers.buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_that_is_named_wrongly_is_never_another_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let foreign = app.bench.tenant_id.to_string();
    let (own, nobodys) = (own_tenant(&app, &ada).await, Uuid::now_v7().to_string());
    let two = format!("{own}, {own}");
    for (named, status, code) in [
        ("nonsense", 400, "malformed"),
        ("", 400, "malformed"),
        (two.as_str(), 400, "malformed"),
        (foreign.as_str(), 404, "not_found"),
        (nobodys.as_str(), 404, "not_found"),
    ] {
        let request = app.anonymous(Method::POST, "/api/v1/api-keys").bearer_auth(&ada.token);
        let body = json!({ "name": "x", "permissions": ["jobs:read"] });
        let (answered, problem) = answer(request.header("linecook-tenant", named).json(&body)).await;
        assert_problem(answered, &problem, status, code);
    }
    let (_, keys) = app.call(&ada, Method::GET, "api-keys", Value::Null).await;
    assert_eq!(keys["items"], json!([]), "no key was made anywhere");
}

async fn own_tenant(app: &TestApp, who: &tests::people::SignedIn) -> String {
    let (_, me) = app.call(who, Method::GET, "auth/me", Value::Null).await;
    me["current_tenant_id"].as_str().unwrap().to_owned()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_time_that_leaves_our_years_in_utc_is_refused_by_its_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for time in ["9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "+10000-01-01T00:00:00Z"] {
        let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {}, "run_at": time });
        let (status, problem) = app.post("/api/v1/jobs", body).await;
        assert!(status == 422 && problem["detail"].as_str().unwrap().starts_with("run_at: "), "{time}: {problem}");
        let query = time.replace('+', "%2B");
        let (status, problem) = answer(app.request(Method::GET, &format!("/api/v1/jobs?since={query}"))).await;
        assert!(status == 422 && problem["detail"].as_str().unwrap().starts_with("since: "), "{time}: {problem}");
    }
    assert_eq!(app.get("/api/v1/jobs").await["items"], json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_mark_of_byte_order_before_json_is_passed_over(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = format!("\u{feff}{}", json!({ "tenant_id": app.bench.tenant_id, "name": "Marked" }));
    let request = app.request(Method::POST, "/api/v1/folders").header("content-type", "application/json");
    assert_eq!(answer(request.body(body)).await.0, 201);
}

#[sqlx::test(migrations = "../migrations")]
async fn wrong_parameters_are_named_with_what_would_be_right(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = "it should be a UUID such as 0197c1de-86a2-7c33-9a3b-2f1d6c0e5b14.";
    let limit = "limit: it should be a whole number from 1 to 200.";
    for (path, detail) in [
        ("jobs/nonsense", format!("id: {id}")),
        ("jobs?tenant_id=nonsense", format!("tenant_id: {id}")),
        ("jobs?limit=many", limit.to_owned()),
        ("jobs?limit=0", limit.to_owned()),
        ("jobs?limit=1e9", limit.to_owned()),
        ("jobs?since=soon", "since: it should be a time such as 2026-11-26T12:00:00Z.".to_owned()),
        ("jobs?q=x", "q: it should be a text of 2 to 200 characters.".to_owned()),
    ] {
        let (_, problem) = answer(app.request(Method::GET, &format!("/api/v1/{path}"))).await;
        assert_eq!(problem["detail"], json!(detail), "{path}");
    }
    let (_, problem) = answer(app.request(Method::GET, "/api/v1/jobs?state=asleep")).await;
    assert!(problem["detail"].as_str().unwrap().starts_with("state: it should be one of scheduled, "), "{problem}");
    let (_, problem) = answer(app.request(Method::DELETE, &format!("/api/v1/tenants/{}", app.bench.tenant_id))).await;
    assert_eq!(problem["detail"], "confirm: this parameter is required; it should be a text.");
}
