//! Tests of unconfigured and unknown providers.

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, answer};

use super::assert_problem;

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_set_up_is_refused_and_names_the_setting(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let connect = app.get(&format!("/api/v1/oauth/facebook/authorize?tenant_id={tenant}")).await;
    let ticket = connect["url"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned();
    let (_admin, url) = app.serve_apart_with(&[("FACEBOOK_APP_ID", ""), ("OPENAI_API_KEY", "")]).await;
    let month = json!({ "month": "2027-02", "posts": 3 });
    let calendars = format!("/api/v1/tenants/{tenant}/calendars");
    let requests = [
        (Method::GET, format!("/api/v1/oauth/facebook/authorize?tenant_id={tenant}"), "FACEBOOK_APP_ID"),
        (Method::GET, "/api/v1/oauth/facebook/callback?state=s&code=c".to_owned(), "FACEBOOK_APP_ID"),
        (Method::POST, calendars, "OPENAI_API_KEY"),
    ];
    for (method, path, setting) in requests {
        let request = app.request_at(&url, method.clone(), &path);
        let request = if method == Method::POST { request.json(&month) } else { request };
        let (status, body) = answer(request).await;
        assert_problem(status, &body, 409, "not_configured");
        assert!(body["detail"].as_str().unwrap().contains(setting), "{body}");
    }
    let opened = app.request_at(&url, Method::GET, &ticket).send().await.unwrap();
    assert_eq!((opened.status(), opened.headers().contains_key("set-cookie")), (StatusCode::CONFLICT, false));
    assert!(opened.text().await.unwrap().contains("FACEBOOK_APP_ID"));
    let opened = app.anonymous(Method::GET, &ticket).send().await.unwrap();
    assert_eq!(opened.status(), 200, "the ticket is still good where the provider is set up");
    assert_eq!(app.count_jobs("generate_calendar").await, []);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_no_provider_to_connect_is_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    for name in [
        "myspace",
        "Facebook",
        "FACEBOOK",
        "facebook%20",
        "facebook%00",
        "face%E2%80%8Bbook",
        "instagram",
        "google",
        "%2e%2e",
    ] {
        for rest in [format!("authorize?tenant_id={tenant}"), "callback?state=s&code=c".to_owned()] {
            let (status, body) = answer(app.request(Method::GET, &format!("/api/v1/oauth/{name}/{rest}"))).await;
            assert_eq!(status, 404, "{name}: {body}");
        }
    }
    let long = "f".repeat(5_000);
    let (status, body) = answer(app.request(Method::GET, &format!("/api/v1/oauth/{long}/callback"))).await;
    assert_problem(status, &body, 404, "not_found");
}
