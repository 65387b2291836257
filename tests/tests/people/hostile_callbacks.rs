//! Callbacks that no provider sends: each is refused with a page that says what to do, stores
//! nothing, and calls nobody.

use reqwest::{Method, Response};
use serde_json::Value;
use sqlx::PgPool;
use tests::{TestApp, answer};

use super::connecting::{Login, browser_of, come_back, log_in, open, tenant_of, ticket};

/// Somebody who is at the provider.
struct Stage {
    app: TestApp,
    browser: String,
    token: String,
    tenant: String,
}

impl Stage {
    async fn new(pool: PgPool) -> Self {
        let app = TestApp::new(pool).await;
        let ada = app.person("ada@example.com").await;
        let (browser, tenant) = (browser_of(&app, "ada@example.com").await, tenant_of(&app, &ada).await);
        Self { app, browser, token: ada.token, tenant }
    }

    async fn log_in(&self) -> Login {
        log_in(&self.app, &self.browser, &self.token, &self.tenant).await
    }

    /// Asserts that a callback is refused, and that nothing came of it.
    async fn refused(&self, what: &str, response: Response) {
        let (status, kind) = (response.status(), response.headers()["content-type"].to_str().unwrap().to_owned());
        assert!(status.is_client_error() && kind.starts_with("text/html"), "{what}: {status} {kind}");
        let page = response.text().await.unwrap();
        let says = ["try again", "Try again", "ask for a new link"].iter().any(|words| page.contains(words));
        assert!(says, "{what}: {page}");
        assert!(!page.contains("<script>") && !page.contains("evil"), "{what}: {page}");
        self.nothing_came(what).await;
    }

    async fn nothing_came(&self, what: &str) {
        assert_eq!(self.app.count_jobs("exchange_oauth_code").await, [], "{what}");
        let mut tx = self.app.bench.engine.db.system().await.unwrap();
        let rows: i64 = sqlx::query_scalar(
            "select (select count(*) from oauth_state where code is not null or job_id is not null)
               + (select count(*) from oauth_tokens) + (select count(*) from social_accounts)",
        )
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        assert_eq!((rows, self.app.bench.sandbox.calls("exchange_code").await), (0, 0), "{what}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_state_that_is_not_this_logins_is_refused(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let (login, other) = (stage.log_in().await, stage.log_in().await);
    let Login { cookie, state, code } = &login;
    let long = "x".repeat(8 * 1024);
    let queries = [
        ("no parameters", String::new()),
        ("a missing state", format!("code={code}")),
        ("an empty state", format!("code={code}&state=")),
        ("an unknown state", format!("code={code}&state=unknown")),
        ("a state of 8 kB", format!("code={code}&state={long}")),
        ("a state that begins like one", format!("code={code}&state={state}{long}")),
        ("another login's state", format!("code={code}&state={}", other.state)),
        ("a state twice", format!("code={code}&state={state}&state={state}")),
        ("two states", format!("code={code}&state=unknown&state={state}")),
        ("a state with NUL", format!("code={code}&state={state}%00")),
        ("a script as state", format!("code={code}&state=<script>evil</script>")),
        ("a missing code", format!("state={state}")),
        ("a code twice", format!("code={code}&code={code}&state={state}")),
        ("the issuer of another provider", format!("code={code}&state={state}&iss=https://accounts.google.com")),
        ("an issuer that is no address", format!("code={code}&state={state}&iss=evil")),
        ("an issuer twice", format!("code={code}&state={state}&iss=a&iss=a")),
    ];
    for (what, query) in queries {
        stage.refused(what, come_back(&stage.app, cookie, &query).await).await;
    }
    let right = come_back(&stage.app, cookie, &login.query()).await;
    assert_eq!(right.status(), 303, "none of them spoiled the login");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_belongs_to_its_browser_its_person_and_its_tenant(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let app = &stage.app;
    let login = stage.log_in().await;
    let bob = app.person("bob@example.com").await;
    let of_bob = browser_of(app, "bob@example.com").await;
    let of_login = login.cookie.split("; ").nth(1).unwrap();
    let bobs = log_in(app, &of_bob, &bob.token, &tenant_of(app, &bob).await).await;
    for (what, cookie) in [
        ("no cookie", String::new()),
        ("another browser of the same person", stage.browser.clone()),
        ("nobody signed in", of_login.to_owned()),
        ("another person in the same browser", format!("{of_bob}; {of_login}")),
        ("another person's browser", bobs.cookie.clone()),
    ] {
        stage.refused(what, come_back(app, &cookie, &login.query()).await).await;
    }
    let query = format!("code={}&state={}", bobs.code, login.state);
    stage.refused("another login's cookie", come_back(app, &bobs.cookie, &query).await).await;

    // Ada is no longer in the tenant for which she began.
    let remove = "delete from tenant_users where tenant_id = $1";
    app.bench.execute(remove, stage.tenant.parse().unwrap()).await;
    let response = come_back(app, &login.cookie, &login.query()).await;
    assert_eq!(response.status(), 404);
    stage.nothing_came("a tenant that was left").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_that_took_too_long_is_refused(pool: PgPool) {
    let mut stage = Stage::new(pool).await;
    let login = stage.log_in().await;
    stage.app.shift_clock(std::time::Duration::from_mins(10));
    stage.refused("an expired state", come_back(&stage.app, &login.cookie, &login.query()).await).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_that_is_denied_says_so_and_leads_on(pool: PgPool) {
    let stage = Stage::new(pool).await;
    for error in [
        "error=access_denied",
        "error=access_denied&error_code=200&error_description=Permissions+error&error_reason=user_denied",
        "error=server_error&error_description=<script>evil</script>",
        "error=",
    ] {
        let login = stage.log_in().await;
        let response = come_back(&stage.app, &login.cookie, &format!("{error}&state={}", login.state)).await;
        stage.refused(error, response).await;
        let again = come_back(&stage.app, &login.cookie, &login.query()).await;
        stage.refused("the same state with a code afterwards", again).await;
        let stateless = come_back(&stage.app, &login.cookie, error).await;
        stage.refused("no state", stateless).await;
    }
    let login = stage.log_in().await;
    let both = format!("{}&error=access_denied", login.query());
    stage.refused("a code and an error", come_back(&stage.app, &login.cookie, &both).await).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_state_and_a_code_are_good_once(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let (login, other) = (stage.log_in().await, stage.log_in().await);
    let query = login.query();
    let twice =
        tokio::join!(come_back(&stage.app, &login.cookie, &query), come_back(&stage.app, &login.cookie, &query));
    let mut statuses = [twice.0.status().as_u16(), twice.1.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400], "twice in parallel");
    assert_eq!(come_back(&stage.app, &login.cookie, &query).await.status(), 400, "a used state");
    let replayed = format!("code={}&state={}", login.code, other.state);
    assert_eq!(come_back(&stage.app, &other.cookie, &replayed).await.status(), 400, "a replayed code");
    stage.app.bench.drain().await;
    assert_eq!(stage.app.bench.sandbox.calls("exchange_code").await, 1);
    assert_eq!(stage.app.count_jobs("exchange_oauth_code").await, [("completed".to_owned(), 1)]);
    assert_eq!(come_back(&stage.app, &other.cookie, &other.query()).await.status(), 303, "its own code is good");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_state_of_one_provider_is_none_of_another(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let login = stage.log_in().await;
    for provider in ["google", "github", "dropbox", "nobody"] {
        let path = format!("/api/v1/oauth/{provider}/callback?{}", login.query());
        let request = stage.app.anonymous(Method::GET, &path).header("cookie", &login.cookie);
        let response = request.header("accept", "text/html").send().await.unwrap();
        assert!(response.status().is_client_error(), "{provider}: {}", response.status());
        stage.nothing_came(provider).await;
    }
    let path = format!("/sign-in/google/callback?{}", login.query());
    open(&stage.app, Method::GET, &path, Some(&login.cookie)).await;
    stage.nothing_came("the callback for signing in").await;
    assert_eq!(come_back(&stage.app, &login.cookie, &login.query()).await.status(), 303);
}

/// Headers by which others say which host a request is for.
const HOSTS: [(&str, &str); 20] = [
    ("host", "evil.example.com"),
    ("host", "127.0.0.1:1@evil.example.com"),
    ("host", "evil.example.com:443"),
    ("host", "localhost.evil.example.com"),
    ("host", "[::1]:6666"),
    ("x-forwarded-host", "evil.example.com"),
    ("x-forwarded-host", "127.0.0.1, evil.example.com"),
    ("x-forwarded-host", "evil.example.com/path?query"),
    ("x-forwarded-host", "//evil.example.com"),
    ("x-forwarded-proto", "javascript"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-scheme", "https"),
    ("x-forwarded-port", "6666"),
    ("x-forwarded-server", "evil.example.com"),
    ("x-forwarded-prefix", "//evil.example.com"),
    ("x-original-host", "evil.example.com"),
    ("x-original-url", "https://evil.example.com/"),
    ("x-host", "evil.example.com"),
    ("forwarded", "host=evil.example.com;proto=https"),
    ("forwarded", "for=1.2.3.4;host=\"evil.example.com:6666\""),
];

#[sqlx::test(migrations = "../migrations")]
async fn no_header_changes_where_the_provider_sends_people(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let app = &stage.app;
    let expected = format!("{}/api/v1/oauth/facebook/callback", app.bench.engine.services.public_url());
    for (name, value) in HOSTS {
        let what = format!("{name}: {value}");
        let path = format!("/api/v1/oauth/facebook/authorize?tenant_id={}", stage.tenant);
        let request = app.anonymous(Method::GET, &path).bearer_auth(&stage.token).header(name, value);
        let (status, body): (_, Value) = answer(request).await;
        assert_eq!(status, 200, "{what}: {body}");
        assert!(body["url"].as_str().unwrap().starts_with(&format!("{}/connect/", app.url)), "{what}: {body}");

        let path = ticket(app, &stage.token, &stage.tenant).await;
        let request = app.anonymous(Method::GET, &path).header("cookie", &stage.browser).header(name, value);
        let opened = request.send().await.unwrap();
        let dialog: url::Url = opened.headers()["location"].to_str().unwrap().parse().unwrap();
        let back = dialog.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
        assert_eq!(back, expected, "{what}");

        let login = stage.log_in().await;
        let path = format!("/api/v1/oauth/facebook/callback?{}", login.query());
        let request = app.anonymous(Method::GET, &path).header("cookie", &login.cookie).header(name, value);
        let response = request.send().await.unwrap();
        let location = response.headers()["location"].to_str().unwrap();
        assert!(location.starts_with("/connections/"), "{what}: {location}");
    }
}
