//! Tests of the limits of plans.

use std::io::Cursor;

use reqwest::multipart;
use sqlx::PgPool;

use super::*;

/// Returns the app with its tenant on the plan basic: ten of everything.
async fn basic(pool: PgPool) -> TestApp {
    let app = TestApp::new(pool).await;
    app.bench.execute("update tenants set plan = 'basic' where id = $1", app.bench.tenant_id.0).await;
    app
}

async fn usage(app: &TestApp) -> Value {
    app.get(&format!("/api/v1/tenants/{}/usage", app.bench.tenant_id)).await
}

#[sqlx::test(migrations = "../migrations")]
async fn of_fifty_posts_at_once_as_many_go_out_as_the_plan_allows(pool: PgPool) {
    let app = basic(pool).await;
    let account = app.bench.connect_page().await;
    let body = json!({ "tenant_id": app.bench.tenant_id, "account_ids": [account], "caption": "Pizza" });
    let requests: Vec<_> =
        (0..50).map(|_| tokio::spawn(app.request(Method::POST, "/api/v1/posts/create").json(&body).send())).collect();
    let (mut accepted, mut refused) = (0, 0);
    for request in requests {
        let answered = request.await.unwrap().unwrap();
        if answered.status() == 202 {
            accepted += 1;
            continue;
        }
        let again: u64 = answered.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&again), "{again}");
        assert_problem(&(answered.status(), answered.json().await.unwrap()), 429, "limit_reached");
        refused += 1;
    }
    assert_eq!((accepted, refused), (10, 40));
    let usage = usage(&app).await;
    assert_eq!(
        (&usage["posts"]["used"], &usage["posts"]["limit"], &usage["plan"]),
        (&json!(10), &json!(10), &json!("basic"))
    );
    assert!(usage["posts"]["period_start"].is_string() && usage["posts"]["resets_at"].is_string(), "{usage}");
    assert!(usage["images"]["resets_at"].is_null(), "{usage}");
    assert_eq!(app.count_jobs("publish_post").await, [("available".to_owned(), 10)], "what was refused left nothing");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_calendar_beyond_the_plan_is_refused_whole(pool: PgPool) {
    let app = basic(pool).await;
    let path = format!("/api/v1/tenants/{}/calendars", app.bench.tenant_id);
    let month = |posts: i32| json!({ "month": "2027-02", "posts": posts });
    assert_problem(&app.post(&path, month(10)).await, 429, "limit_reached");
    assert_eq!(app.count_jobs("generate_calendar").await, []);
    assert_eq!(app.post(&path, month(9)).await.0, 202);
    assert_problem(&app.post(&path, month(1)).await, 429, "limit_reached");
    app.bench.drain().await;
    let usage = usage(&app).await;
    assert_eq!((&usage["ai_generations"]["used"], &usage["ai_generations_in_all"]), (&json!(10), &json!(10)));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_picture_beyond_the_plan_is_refused_and_leaves_no_file(pool: PgPool) {
    let app = basic(pool).await;
    for _ in 0..9 {
        app.bench.picture().await;
    }
    let (_, folder) = app.post("/api/v1/folders", json!({ "tenant_id": app.bench.tenant_id, "name": "P" })).await;
    let path = format!("/api/v1/folders/{}/assets", folder["id"].as_str().unwrap());
    let mut png = Cursor::new(Vec::new());
    image::RgbImage::new(64, 48).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let upload = async || {
        let part = multipart::Part::bytes(png.clone()).file_name("p.png");
        answer(app.request(Method::POST, &path).multipart(multipart::Form::new().part("file", part))).await
    };
    assert_eq!(upload().await.0, 201);
    assert_problem(&upload().await, 403, "plan_limit");
    let folder = app.bench.sandbox.services_config().storage_url.to_file_path().unwrap();
    let files = std::fs::read_dir(folder.join(app.bench.tenant_id.to_string()).join("assets")).unwrap();
    assert_eq!(files.count(), 10);
    assert_eq!(usage(&app).await["images"]["used"], 10);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_larger_plan_makes_room_at_once(pool: PgPool) {
    let app = basic(pool).await;
    let path = format!("/api/v1/tenants/{}/calendars", app.bench.tenant_id);
    let month = json!({ "month": "2027-02", "posts": 20 });
    assert_problem(&app.post(&path, month.clone()).await, 429, "limit_reached");
    let tenant = format!("tenants/{}", app.bench.tenant_id);
    call(&app, &app.key, Method::PATCH, &tenant, json!({ "plan": "pro" })).await;
    assert_eq!(app.post(&path, month).await.0, 202);
}
