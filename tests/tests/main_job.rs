//! Tests of the main job from end to end: the API, a worker process, the sandbox.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::{io::Cursor, time::Duration};

use reqwest::{Method, header, multipart};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer};

const SOON: Duration = Duration::from_mins(1);

fn photo() -> Vec<u8> {
    let mut jpeg = Cursor::new(Vec::new());
    image::RgbImage::from_fn(800, 600, |x, y| image::Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 90]))
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    jpeg.into_inner()
}

/// Presses the only button of a page.
async fn press(app: &TestApp, path: &str) -> reqwest::Response {
    app.anonymous(Method::POST, path).header(header::ORIGIN, &app.url).form(&[("", "")]).send().await.unwrap()
}

/// Follows the login as a browser would, and returns the callback's address and the cookie.
async fn log_in(app: &TestApp) -> (String, String) {
    let tenant = app.bench.tenant_id;
    let connect = app.get(&format!("/api/v1/oauth/facebook/authorize?tenant_id={tenant}")).await;
    let path = connect["url"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned();
    let shown = app.anonymous(Method::GET, &path).send().await.unwrap();
    assert_eq!(shown.status(), 200, "a page names the tenant before anything begins");
    let opened = press(app, &path).await;
    assert_eq!(opened.status(), 200);
    let text = |name| opened.headers()[name].to_str().unwrap();
    let cookie = text(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    let dialog = text(header::REFRESH).split_once("url=").unwrap().1.to_owned();
    assert_eq!(press(app, &path).await.status(), 404, "a ticket opens once");
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let approved = browser.get(dialog).send().await.unwrap();
    let callback = approved.headers()[header::LOCATION].to_str().unwrap().to_owned();
    (callback[callback.find("/api").unwrap()..].to_owned(), cookie)
}

async fn call_back(app: &TestApp, path: &str, cookie: &str) -> u16 {
    app.anonymous(Method::GET, path).header(header::COOKIE, cookie).send().await.unwrap().status().as_u16()
}

async fn upload(app: &TestApp, folder: &str) -> Value {
    let part = multipart::Part::bytes(photo()).file_name("pizza.jpg");
    let form = multipart::Form::new().part("file", part).text("tags", "summer, pizza");
    let (status, asset) =
        answer(app.request(Method::POST, &format!("/api/v1/folders/{folder}/assets")).multipart(form)).await;
    assert_eq!(status, 201, "{asset}");
    asset
}

#[sqlx::test(migrations = "../migrations")]
async fn a_restaurant_connects_writes_a_month_and_publishes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let _worker = app.worker(&[]).await;

    let (callback, cookie) = log_in(&app).await;
    assert_eq!(call_back(&app, &callback, &cookie).await, 303);
    app.wait_until_all("exchange_oauth_code", "completed", SOON).await;
    let accounts = app.get(&format!("/api/v1/tenants/{tenant}/accounts")).await;
    let account = &accounts["items"][0]["id"];

    let folder = app.post("/api/v1/folders", json!({ "tenant_id": tenant, "name": "Photos" })).await.1;
    let asset = upload(&app, folder["id"].as_str().unwrap()).await;
    assert_eq!((&asset["content_type"], &asset["tags"]), (&json!("image/jpeg"), &json!(["summer", "pizza"])));
    let path = format!("/api/v1/assets/{}/overlay", asset["id"].as_str().unwrap());
    let (status, overlay) = app.post(&path, json!({ "text": "Pizza night" })).await;
    assert_eq!(status, 202, "{overlay}");
    let path = format!("/api/v1/tenants/{tenant}/calendars");
    let (status, calendar) = app.post(&path, json!({ "month": "2027-05", "posts": 6, "brief": "Spring" })).await;
    assert_eq!(status, 202, "{calendar}");
    app.wait_until_all("render_overlay", "completed", SOON).await;
    app.wait_until_all("generate_calendar", "completed", SOON).await;
    let calendar = app.get(&format!("/api/v1/calendars/{}", calendar["id"].as_str().unwrap())).await;
    assert_eq!(calendar["state"], json!("ready"));

    let posts = calendar["posts"].as_array().unwrap();
    let mut placements: Vec<Value> = posts.iter().map(|post| json!({ "post_id": post["id"] })).collect();
    placements[0]["asset_id"] = overlay["asset_id"].clone();
    placements[0]["scheduled_at"] = app.bench.now().await.to_rfc3339().into();
    let body = json!({ "tenant_id": tenant, "account_id": account, "posts": placements });
    let (status, scheduled) = app.post("/api/v1/posts/schedule", body.clone()).await;
    assert_eq!((status.as_u16(), scheduled["job_ids"].as_array().unwrap().len()), (202, 6));
    app.wait_until_some("publish_post", "completed", 1).await;
    let effects = app.bench.sandbox.effects().await;
    assert_eq!((effects.len(), &effects[0]["message"]), (1, &posts[0]["caption"]));
    assert_eq!(effects[0]["picture"]["width"], json!(800));
    let expected = [("completed".to_owned(), 1), ("scheduled".to_owned(), 5)];
    assert_eq!(app.count_jobs("publish_post").await, expected, "the rest of the month waits");
    let (status, again) = app.post("/api/v1/posts/schedule", body).await;
    assert_eq!((status.as_u16(), &again["code"]), (409, &json!("already_scheduled")));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_is_bound_to_its_browser_and_used_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (callback, cookie) = log_in(&app).await;
    let name = cookie.split('=').next().unwrap();
    assert_eq!(call_back(&app, &callback, "").await, 400, "no cookie");
    assert_eq!(call_back(&app, &callback, &format!("{name}=stolen")).await, 400, "another browser");
    assert_eq!(call_back(&app, &callback, &cookie).await, 303);
    assert_eq!(call_back(&app, &callback, &cookie).await, 400, "used");
    let (late, cookie) = log_in(&app).await;
    app.bench.engine.db.shift_clock(Duration::from_secs(601));
    assert_eq!(call_back(&app, &late, &cookie).await, 400, "too late");
}
