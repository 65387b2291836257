//! Tickets to connect accounts: whose they are, and what opens them.

use reqwest::{Client, Method, Response, redirect::Policy};
use serde_json::Value;
use sqlx::PgPool;
use tests::{
    TestApp, answer,
    people::{PASSWORD, SignedIn},
};

use super::browser::{cookie_of, submit};

async fn tenant_of(app: &TestApp, who: &SignedIn) -> String {
    let (_, me) = app.call(who, Method::GET, "auth/me", Value::Null).await;
    me["tenants"][0]["tenant_id"].as_str().unwrap().to_owned()
}

/// The path of a ticket that somebody asks for.
async fn ticket(app: &TestApp, token: &str, tenant: &str) -> String {
    let path = format!("/api/v1/oauth/facebook/authorize?tenant_id={tenant}");
    let (status, body) = answer(app.anonymous(Method::GET, &path).bearer_auth(token)).await;
    assert_eq!(status, 200, "{body}");
    body["url"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned()
}

async fn open(app: &TestApp, method: Method, path: &str, cookie: Option<&str>) -> Response {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let request = client.request(method, format!("{}{path}", app.url));
    let request = if let Some(cookie) = cookie { request.header("cookie", cookie) } else { request };
    request.send().await.unwrap()
}

async fn browser_of(app: &TestApp, email: &str) -> String {
    cookie_of(&submit(app, "/sign-in", &[("email", email), ("password", PASSWORD)]).await)
}

#[sqlx::test(migrations = "../migrations")]
async fn a_ticket_opens_for_the_person_who_asked_for_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (mallory, _ada) = (app.person("mallory@example.com").await, app.person("ada@example.com").await);
    let path = ticket(&app, &mallory.token, &tenant_of(&app, &mallory).await).await;
    let (victims, own) = (browser_of(&app, "ada@example.com").await, browser_of(&app, "mallory@example.com").await);
    for cookie in [Some(victims.as_str()), None] {
        assert_eq!(open(&app, Method::GET, &path, cookie).await.status(), 403);
    }
    assert_eq!(open(&app, Method::HEAD, &path, Some(&own)).await.status(), 200, "a look uses up nothing");
    let opened = open(&app, Method::GET, &path, Some(&own)).await;
    assert_eq!(opened.status(), 303, "and neither do those of others");
    assert_eq!(open(&app, Method::GET, &path, Some(&own)).await.status(), 404, "it opens once");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_ticket_of_a_key_names_the_tenant_before_it_opens(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = ticket(&app, &app.key, &app.bench.tenant_id.to_string()).await;
    for method in [Method::HEAD, Method::GET, Method::GET] {
        let shown = open(&app, method.clone(), &path, None).await;
        assert_eq!(shown.status(), 200);
        assert!(shown.headers().get("set-cookie").is_none());
        let page = shown.text().await.unwrap();
        assert!(method == Method::HEAD || page.contains("Krusty") && page.contains("<form method=\"post\""), "{page}");
    }
    let foreign = app.anonymous(Method::POST, &path).header("origin", "https://evil.example.com").form(&[("a", "b")]);
    assert_eq!(answer(foreign).await.0, 403);
    let opened = submit(&app, &path, &[]).await;
    assert_eq!(opened.status(), 200);
    assert!(opened.headers()["refresh"].to_str().unwrap().starts_with("0; url=http"));
    assert!(opened.headers()["set-cookie"].to_str().unwrap().starts_with("linecook_connect_"));
    assert_eq!(submit(&app, &path, &[]).await.status(), 404);
}

#[sqlx::test(migrations = "../migrations")]
async fn another_site_makes_no_ticket_by_a_visitors_cookie(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let cookie = browser_of(&app, "ada@example.com").await;
    let path = format!("/api/v1/oauth/facebook/authorize?tenant_id={}", tenant_of(&app, &ada).await);
    for (site, expected) in [("cross-site", 401), ("same-site", 401), ("same-origin", 200), ("none", 200)] {
        let request = app.anonymous(Method::GET, &path).header("cookie", &cookie).header("sec-fetch-site", site);
        let (status, body) = answer(request).await;
        assert_eq!(status.as_u16(), expected, "{site} {body}");
    }
    let request = app.anonymous(Method::GET, "/home").header("cookie", &cookie).header("sec-fetch-site", "cross-site");
    let landed = request.send().await.unwrap();
    let first = landed.headers()["location"].to_str().unwrap();
    assert!(first.starts_with("/workspace?"), "a link from elsewhere leads to our pages signed in, not to {first}");
}
