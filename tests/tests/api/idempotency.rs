//! Tests that writes with an Idempotency-Key have one effect.

use jobs::{
    ids::TenantId,
    tenants::{keys, permissions::Permissions},
};
use reqwest::{Method, RequestBuilder, StatusCode, multipart};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};
use uuid::Uuid;

use super::assert_problem;

fn job(app: &TestApp) -> Value {
    json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {}, "run_at": "2099-01-01T00:00:00Z" })
}

fn create(app: &TestApp, key: &str) -> RequestBuilder {
    app.request(Method::POST, "/api/v1/jobs").header("idempotency-key", key).json(&job(app))
}

async fn count_jobs(app: &TestApp) -> i64 {
    app.count_jobs("noop").await.iter().map(|(_, count)| count).sum()
}

/// Returns the status, true if the response is a replayed one, and the body.
async fn outcome(request: RequestBuilder) -> (StatusCode, bool, Value) {
    let answer = request.send().await.unwrap();
    let is_replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    (answer.status(), is_replayed, answer.json().await.unwrap())
}

/// Sends all requests at once and returns the created job. All other responses name it or say that
/// its request is in flight.
async fn race(requests: Vec<RequestBuilder>) -> Value {
    let tasks: Vec<_> = requests.into_iter().map(|request| tokio::spawn(outcome(request))).collect();
    let mut made = Vec::new();
    for task in tasks {
        let (status, is_replayed, body) = task.await.unwrap();
        match status.as_u16() {
            202 => made.push((is_replayed, body)),
            409 => assert_eq!(body["code"], "idempotency_in_flight", "{body}"),
            _ => panic!("{status} {body}"),
        }
    }
    assert_eq!(made.iter().filter(|(is_replayed, _)| !is_replayed).count(), 1, "{made:?}");
    assert!(made.iter().all(|(_, body)| *body == made[0].1), "{made:?}");
    made.swap_remove(0).1
}

#[sqlx::test(migrations = "../migrations")]
async fn a_hundred_equal_requests_have_one_effect(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let key = Uuid::now_v7().to_string();
    let made = race((0..100).map(|_| create(&app, &key)).collect()).await;
    assert_eq!(count_jobs(&app).await, 1);
    let answered = create(&app, &key).send().await.unwrap();
    assert_eq!(
        (answered.status().as_u16(), &answered.headers()["idempotent-replayed"]),
        (202, &"true".parse().unwrap())
    );
    let location = format!("/api/v1/jobs/{}", made["job_id"].as_str().unwrap());
    assert_eq!(answered.headers()["location"], location);
    assert_eq!(answered.json::<Value>().await.unwrap(), made);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_processes_have_one_effect(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_admin, url) = app.serve_apart().await;
    let there =
        || app.request_at(&url, Method::POST, "/api/v1/jobs").header("idempotency-key", "both").json(&job(&app));
    race((0..50).flat_map(|_| [create(&app, "both"), there()]).collect()).await;
    assert_eq!(count_jobs(&app).await, 1);
    let (status, is_replayed, _) = outcome(there()).await;
    assert_eq!((status.as_u16(), is_replayed), (202, true));
}

#[sqlx::test(migrations = "../migrations")]
async fn another_request_under_a_key_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    assert_eq!(answer(create(&app, "one")).await.0, 202);
    let mut other = job(&app);
    other["run_at"] = json!("2098-01-01T00:00:00Z");
    let request = app.request(Method::POST, "/api/v1/jobs").header("idempotency-key", "one").json(&other);
    let (status, body) = answer(request).await;
    assert_problem(status, &body, 422, "idempotency_key_reused");
    // Another address, another key or another caller makes another request.
    let folder = json!({ "tenant_id": app.bench.tenant_id, "name": "P" });
    let request = app.request(Method::POST, "/api/v1/folders").header("idempotency-key", "one").json(&folder);
    assert_eq!(answer(request).await.0, 201);
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let (_, key) = keys::insert(&mut tx, TenantId::SYSTEM, "another", None, &Permissions::full()).await.unwrap();
    tx.commit().await.unwrap();
    let (status, is_replayed, _) = outcome(
        app.anonymous(Method::POST, "/api/v1/jobs").bearer_auth(key).header("idempotency-key", "one").json(&other),
    )
    .await;
    assert_eq!((status.as_u16(), is_replayed), (202, false));
    assert_eq!(count_jobs(&app).await, 2);
    for wrong in ["", "a b", &"k".repeat(256)] {
        let (status, body) = answer(create(&app, wrong)).await;
        assert_problem(status, &body, 400, "bad_idempotency_key");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_refused_for_good_stays_refused_and_what_may_change_is_tried_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let unknown = json!({ "tenant_id": app.bench.tenant_id, "kind": "nope", "args": {} });
    let request = || app.request(Method::POST, "/api/v1/jobs").header("idempotency-key", "no").json(&unknown);
    let (first, again) = (outcome(request()).await, outcome(request()).await);
    assert_eq!((first.0.as_u16(), first.1, again.1), (422, false, true));
    assert_eq!(first.2, again.2);

    let (_, made) = app.post("/api/v1/jobs", job(&app)).await;
    let path = format!("/api/v1/jobs/{}", made["job_id"].as_str().unwrap());
    let retry = || app.request(Method::POST, &format!("{path}/retry")).header("idempotency-key", "retry");
    assert_eq!(outcome(retry()).await.0, 409);
    assert_eq!(app.post(&format!("{path}/cancel"), json!({})).await.0, 200);
    let retried = outcome(retry()).await;
    assert_eq!((retried.0.as_u16(), retried.1), (200, false), "{}", retried.2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_is_free_after_a_day_or_when_its_holder_died(pool: PgPool) {
    let app = TestApp::new(pool).await;
    assert_eq!(answer(create(&app, "one")).await.0, 202);
    let held = "update idempotency_keys set status = null, answer = null, locked_until = now() + interval '1 minute'
        where caller_id <> $1";
    app.bench.execute(held, Uuid::nil()).await;
    let (status, body) = answer(create(&app, "one")).await;
    assert_problem(status, &body, 409, "idempotency_in_flight");
    app.bench.execute("update idempotency_keys set locked_until = now() where caller_id <> $1", Uuid::nil()).await;
    let (status, is_replayed, _) = outcome(create(&app, "one")).await;
    assert_eq!((status.as_u16(), is_replayed, count_jobs(&app).await), (202, false, 2));

    let aged = "update idempotency_keys set created_at = now() - interval '24 hours' where caller_id <> $1";
    assert!(outcome(create(&app, "one")).await.1, "kept until then");
    app.bench.execute(aged, Uuid::nil()).await;
    let (status, is_replayed, _) = outcome(create(&app, "one")).await;
    assert_eq!((status.as_u16(), is_replayed, count_jobs(&app).await), (202, false, 3));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_key_is_answered_again_and_not_stored_readable(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let body = json!({ "name": "till", "permissions": ["jobs:read"] });
    let request = || app.request(Method::POST, "/api/v1/api-keys").header("idempotency-key", "key").json(&body);
    let (first, again) = (outcome(request()).await, outcome(request()).await);
    assert_eq!((first.0.as_u16(), again.1, &first.2), (201, true, &again.2));
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let stored: String =
        sqlx::query_scalar("select t::text from idempotency_keys t").fetch_one(&mut *tx).await.unwrap();
    let secret = first.2["key"].as_str().unwrap();
    assert!(stored.contains("v1.") && !stored.contains(secret) && !stored.contains("till"), "{stored}");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_upload_that_is_repeated_makes_one_picture(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, folder) = app.post("/api/v1/folders", json!({ "tenant_id": app.bench.tenant_id, "name": "P" })).await;
    let path = format!("/api/v1/folders/{}/assets", folder["id"].as_str().unwrap());
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(64, 48).write_to(&mut png, image::ImageFormat::Png).unwrap();
    // Each form has another boundary.
    let upload = || {
        let part = multipart::Part::bytes(png.get_ref().clone()).file_name("p.png").mime_str("image/png").unwrap();
        let form = multipart::Form::new().part("file", part);
        outcome(app.request(Method::POST, &path).header("idempotency-key", "up").multipart(form))
    };
    let (first, again) = (upload().await, upload().await);
    assert_eq!((first.0.as_u16(), first.1, again.1), (201, false, true));
    assert_eq!(app.get(&path).await["items"].as_array().unwrap().len(), 1);
}
