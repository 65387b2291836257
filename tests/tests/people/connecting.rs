//! Tickets to connect accounts: whose they are, what opens them, and where they lead.

use reqwest::{Client, Method, Response, redirect::Policy};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    TestApp, answer,
    people::{PASSWORD, SignedIn},
};

use super::browser::{cookie_of, submit};

pub(super) async fn tenant_of(app: &TestApp, who: &SignedIn) -> String {
    let (_, me) = app.call(who, Method::GET, "auth/me", Value::Null).await;
    me["tenants"][0]["tenant_id"].as_str().unwrap().to_owned()
}

/// The path of a ticket that somebody asks for.
pub(super) async fn ticket(app: &TestApp, token: &str, tenant: &str) -> String {
    let path = format!("/api/v1/oauth/facebook/authorize?tenant_id={tenant}");
    let (status, body) = answer(app.anonymous(Method::GET, &path).bearer_auth(token)).await;
    assert_eq!(status, 200, "{body}");
    body["url"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned()
}

pub(super) async fn open(app: &TestApp, method: Method, path: &str, cookie: Option<&str>) -> Response {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let request = client.request(method, format!("{}{path}", app.url));
    let request = if let Some(cookie) = cookie { request.header("cookie", cookie) } else { request };
    request.send().await.unwrap()
}

pub(super) async fn browser_of(app: &TestApp, email: &str) -> String {
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
    assert!(first.starts_with("/accounts?"), "a link from elsewhere leads to our pages signed in, not to {first}");
}

/// A login that came back from the provider.
pub(super) struct Login {
    /// The cookies of the browser: its session, if it has one, and that of the login.
    pub(super) cookie: String,
    pub(super) state: String,
    pub(super) code: String,
}

impl Login {
    /// Returns the query that the provider sends the browser back with.
    pub(super) fn query(&self) -> String {
        format!("code={}&state={}", self.code, self.state)
    }
}

/// Opens a ticket in a signed-in browser, and agrees at the provider.
pub(super) async fn log_in(app: &TestApp, browser: &str, token: &str, tenant: &str) -> Login {
    let opened = open(app, Method::GET, &ticket(app, token, tenant).await, Some(browser)).await;
    assert_eq!(opened.status(), 303);
    let dialog = opened.headers()["location"].to_str().unwrap().to_owned();
    agree(&opened, &dialog, browser).await
}

/// Agrees at the provider's dialog, to which this response led.
pub(super) async fn agree(opened: &Response, dialog: &str, browser: &str) -> Login {
    let cookie = opened.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let agreed = client.get(dialog).send().await.unwrap();
    let back: url::Url = agreed.headers()["location"].to_str().unwrap().parse().unwrap();
    let part = |wanted: &str| back.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
    let cookie = if browser.is_empty() { cookie } else { format!("{browser}; {cookie}") };
    Login { cookie, state: part("state"), code: part("code") }
}

/// Comes back from the provider with this query, as browsers do.
pub(super) async fn come_back(app: &TestApp, cookie: &str, query: &str) -> Response {
    let request = app.anonymous(Method::GET, &format!("/api/v1/oauth/facebook/callback?{query}"));
    let request = request.header("sec-fetch-site", "cross-site").header("accept", "text/html");
    request.header("cookie", cookie).send().await.unwrap()
}

/// Opens a page of somebody's workspace.
async fn page(app: &TestApp, cookie: &str, path: &str) -> String {
    let request = app.anonymous(Method::GET, path).header("cookie", cookie).header("accept", "text/html");
    let (status, page) = answer(request).await;
    assert_eq!(status, 200, "{page}");
    page.as_str().unwrap().to_owned()
}

async fn two_pages(app: &TestApp) {
    let pages = json!([
        { "id": "10158250000000101", "name": "Trattoria Aurora" }, { "id": "10158250000000102", "name": "Bar Aurora" },
    ]);
    let people = json!({ "people": [{ "id": "10220000000000011", "name": "Ada", "pages": pages }] });
    app.bench.sandbox.control("people", people).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_way_ends_on_a_page_that_asks_which_pages_to_connect(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let (browser, tenant) = (browser_of(&app, "ada@example.com").await, tenant_of(&app, &ada).await);
    two_pages(&app).await;
    let login = log_in(&app, &browser, &ada.token, &tenant).await;
    let back = come_back(&app, &login.cookie, &login.query()).await;
    assert_eq!(back.status(), 303);
    let path = back.headers()["location"].to_str().unwrap().to_owned();
    assert!(path.starts_with("/connections/") && path.ends_with(&format!("?workspace={tenant}")), "{path}");
    let waiting = page(&app, &browser, &path).await;
    assert!(
        waiting.contains("Connecting") && waiting.contains("data-stream=") && waiting.contains("refresh"),
        "{waiting}"
    );
    app.bench.drain().await;
    let asking = page(&app, &browser, &path).await;
    assert!(asking.contains("Trattoria Aurora") && !asking.contains("checked"), "{asking}");
    let id = asking.split("name=\"account\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let send = async |form: &[(&str, &str)]| {
        let request = app.anonymous(Method::POST, &path).header("cookie", &browser).header("origin", &app.url);
        request.header("accept", "text/html").form(form).send().await.unwrap()
    };
    let refused = send(&[("account", "nonsense")]).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("Tick at least one."));
    assert_eq!(send(&[("account", &id)]).await.status(), 303);
    app.bench.drain().await;
    let done = page(&app, &browser, &path).await;
    assert!(done.contains("Bar Aurora") && !done.contains("Trattoria") && done.contains("Posts can go out"), "{done}");
    let bob = app.person("bob@example.com").await;
    let of_bob = browser_of(&app, "bob@example.com").await;
    assert_eq!(open(&app, Method::GET, &path, Some(&of_bob)).await.status(), 404, "{}", bob.token);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_way_can_be_followed_and_the_choice_made_by_the_api(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let (browser, tenant) = (browser_of(&app, "ada@example.com").await, tenant_of(&app, &ada).await);
    two_pages(&app).await;
    let login = log_in(&app, &browser, &ada.token, &tenant).await;
    let back = come_back(&app, &login.cookie, &login.query()).await;
    let location = back.headers()["location"].to_str().unwrap();
    let id = location.split(['/', '?']).nth(2).unwrap().to_owned();
    let path = format!("tenants/{tenant}/connections/{id}");
    let state = async || app.call(&ada, Method::GET, &path, Value::Null).await.1;
    assert_eq!(state().await["state"], "exchanging");
    app.bench.drain().await;
    let choosing = state().await;
    assert_eq!((&choosing["state"], choosing["choices"].as_array().unwrap().len()), (&json!("choosing"), 2));
    assert!(!choosing.to_string().contains("EAAB") && !choosing.to_string().contains("v1."), "{choosing}");
    let choice = format!("{path}/choice");
    let chosen = json!({ "accounts": [choosing["choices"][1]["id"]] });
    let (status, connected) = app.call(&ada, Method::POST, &choice, chosen.clone()).await;
    assert_eq!((status.as_u16(), &connected["state"]), (200, &json!("connected")), "{connected}");
    assert_eq!(connected["accounts"][0]["name"], "Trattoria Aurora");
    let again = app.call(&ada, Method::POST, &choice, chosen).await;
    super::assert_problem(&again, 409, "not_choosing");
    let log = app.call(&ada, Method::GET, &format!("tenants/{tenant}/audit-log"), Value::Null).await.1;
    let entries = log["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "account.connect");
    assert_eq!(entries.count(), 1);
    let bob = app.person("bob@example.com").await;
    assert_eq!(app.call(&bob, Method::GET, &path, Value::Null).await.0, 404);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_of_ours_begins_and_another_site_has_to_ask(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let (browser, tenant) = (browser_of(&app, "ada@example.com").await, tenant_of(&app, &ada).await);
    let path = format!("/accounts/connect/facebook?workspace={tenant}");
    let from = async |site: &str| {
        let request = app.anonymous(Method::GET, &path).header("cookie", &browser).header("sec-fetch-site", site);
        request.header("accept", "text/html").send().await.unwrap()
    };
    let asked = from("cross-site").await;
    assert_eq!(asked.status(), 200);
    assert!(asked.text().await.unwrap().contains("Continue"));
    let begun = from("same-origin").await;
    let ticket = begun.headers()["location"].to_str().unwrap().to_owned();
    let opened = open(&app, Method::GET, &ticket, Some(&browser)).await;
    assert!(opened.headers()["location"].to_str().unwrap().contains("/dialog/oauth"), "{ticket}");
}
