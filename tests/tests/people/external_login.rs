//! Tests of signing in with Google and GitHub.

use jobs::people::store::Purpose;
use reqwest::{Client, Method, Response, Url, redirect::Policy};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer, people::PASSWORD, until};

use super::{assert_problem, login};

const ADA: &str = "ada.rossi@example.com";

/// A browser before the provider sends it back.
pub(super) struct Visit {
    /// The cookie that the browser keeps.
    cookie: String,
    /// The address that the provider sends it to.
    back: Url,
}

impl Visit {
    pub(super) async fn begin(app: &TestApp, provider: &str) -> Self {
        Self::begin_at(&app.url, provider).await
    }

    async fn begin_at(url: &str, provider: &str) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let sent = client.get(format!("{url}/sign-in/{provider}")).send().await.unwrap();
        let cookie = set_cookies(&sent).pop().expect("a cookie");
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        let dialog = Url::parse(&location(&sent)).unwrap();
        let shown = client.get(dialog).send().await.unwrap();
        let back = Url::parse(&location(&shown)).unwrap();
        Self { cookie: cookie.split(';').next().unwrap().to_owned(), back }
    }

    fn part(&self, name: &str) -> String {
        self.back.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned()
    }

    fn path(&self) -> String {
        format!("{}?{}", self.back.path(), self.back.query().unwrap())
    }

    pub(super) async fn end(&self, app: &TestApp) -> Response {
        come_back(app, &self.path(), Some(&self.cookie)).await
    }
}

async fn come_back(app: &TestApp, path: &str, cookie: Option<&str>) -> Response {
    let request = app.anonymous(Method::GET, path);
    let request = if let Some(cookie) = cookie { request.header("cookie", cookie) } else { request };
    request.send().await.unwrap()
}

pub(super) fn location(response: &Response) -> String {
    assert!(response.status().is_redirection(), "{}", response.status());
    response.headers()["location"].to_str().unwrap().to_owned()
}

pub(super) fn set_cookies(response: &Response) -> Vec<String> {
    response.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap().to_owned()).collect()
}

/// Signs a person in and returns the API's view of the person.
async fn sign_in(app: &TestApp, provider: &str) -> Value {
    let ended = Visit::begin(app, provider).await.end(app).await;
    assert_eq!(location(&ended), "/home");
    let cookies = set_cookies(&ended);
    let session = cookies.iter().find(|cookie| cookie.starts_with("linecook_session=")).expect("a session");
    let session = session.split(';').next().unwrap();
    let (status, me) = answer(app.anonymous(Method::GET, "/api/v1/auth/me").header("cookie", session)).await;
    assert_eq!(status, 200, "{me}");
    me
}

/// Checks that nobody was signed in, that the browser's attempt is over, and that the form gives
/// the reason.
async fn assert_refused(app: &TestApp, response: Response, why: &str, words: &str) {
    let cookies = set_cookies(&response);
    assert!(cookies.iter().all(|cookie| cookie.contains("Max-Age=0")), "{cookies:?}");
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    let to = location(&response);
    assert!(to.starts_with("/sign-in?with=") && to.ends_with(&format!("&why={why}")), "{to}");
    let (status, page) = answer(app.anonymous(Method::GET, &to)).await;
    let page = page.as_str().unwrap();
    assert!(status == 200 && page.contains("role=\"alert\"") && page.contains(words), "{page}");
}

async fn count_users(app: &TestApp) -> i64 {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    sqlx::query_scalar("select count(*) from users").fetch_one(&mut *tx).await.unwrap()
}

async fn seat(app: &TestApp, visitor: Value) {
    app.bench.sandbox.control("visitor", visitor).await;
}

fn google(email: &str, is_verified: bool) -> Value {
    json!({ "google": { "sub": "110169484474386276334", "email": email, "email_verified": is_verified, "name": "Ada Rossi" } })
}

fn github(emails: &[(&str, bool, bool)]) -> Value {
    let emails: Vec<Value> = emails
        .iter()
        .map(|(email, primary, verified)| json!({ "email": email, "primary": primary, "verified": verified }))
        .collect();
    json!({ "github": { "id": 583_231, "login": "adarossi", "name": null,
        "avatar_url": "https://avatars.example.com/u/583231", "emails": emails } })
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_person_comes_with_names_a_picture_and_a_tenant_and_chooses_a_password_later(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let me = sign_in(&app, "google").await;
    assert_eq!((&me["email"], &me["first_name"], &me["last_name"]), (&json!(ADA), &json!("Ada"), &json!("Rossi")));
    assert_eq!(me["picture_url"], json!("https://pictures.example.com/ada"));
    let tenants = me["tenants"].as_array().unwrap();
    assert_eq!((tenants.len(), &tenants[0]["name"], &tenants[0]["role"]), (1, &json!("Ada Rossi"), &json!("owner")));

    seat(&app, github(&[("noreply@example.com", false, true), ("lovelace@example.com", true, true)])).await;
    let me = sign_in(&app, "github").await;
    assert_eq!((&me["email"], &me["first_name"]), (&json!("lovelace@example.com"), &json!("adarossi")));
    assert_eq!(me["picture_url"], json!("https://avatars.example.com/u/583231"));
    assert_eq!(me["tenants"][0]["name"], json!("adarossi"));

    assert_problem(&login(&app, ADA, PASSWORD).await, 401, "wrong_password");
    assert_eq!(app.open("forgot-password", json!({ "email": ADA })).await.0, 202);
    let code = app.last_code(ADA, Purpose::ResetPassword).await;
    assert_eq!(app.open("reset-password", json!({ "code": code, "password": PASSWORD })).await.0, 200);
    app.sign_in(ADA, PASSWORD).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_verified_address_links_to_the_account_that_has_it_and_that_is_written_down(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("Ada.Rossi@example.com").await;
    let me = app.call(&ada, Method::GET, "auth/me", Value::Null).await.1;
    for provider in ["google", "github"] {
        assert_eq!(sign_in(&app, provider).await["id"], me["id"], "{provider}");
        let log = app.get("/api/v1/audit-log").await;
        let entries = log["items"].as_array().unwrap();
        let link = entries.iter().find(|entry| entry["action"] == "user.link").expect("an entry");
        assert_eq!((&link["details"]["provider"], &link["object_id"]), (&json!(provider), &me["id"]));
    }
    assert_eq!(count_users(&app).await, 1);
    app.sign_in("ada.rossi@example.com", PASSWORD).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_person_comes_back_whatever_address_the_provider_has_by_then(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.person("taken@example.com").await;
    let (first, other) = (sign_in(&app, "google").await, sign_in(&app, "github").await);
    assert_eq!(first["id"], other["id"]);
    for (email, is_verified) in [("taken@example.com", true), ("moved@example.com", true), (ADA, false)] {
        seat(&app, google(email, is_verified)).await;
        let me = sign_in(&app, "google").await;
        assert_eq!((&me["id"], &me["email"]), (&first["id"], &json!(ADA)), "{email}");
    }
    seat(&app, github(&[])).await;
    assert_eq!(sign_in(&app, "github").await["id"], first["id"], "the account is known without an email address");
    assert_eq!(count_users(&app).await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_address_that_the_provider_did_not_verify_is_nobodys(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.person(ADA).await;
    let words = "Verify your main address there";
    for email in [ADA, "new@example.com"] {
        seat(&app, google(email, false)).await;
        let ended = Visit::begin(&app, "google").await.end(&app).await;
        assert_refused(&app, ended, "unverified", words).await;
        for emails in [
            [(email, true, false), ("other@example.com", false, true)],
            [(email, false, true), ("other@example.com", false, true)],
        ] {
            seat(&app, github(&emails)).await;
            let ended = Visit::begin(&app, "github").await.end(&app).await;
            assert_refused(&app, ended, "unverified", words).await;
        }
    }
    let refused = json!({ "status": 200, "body": { "error": "unverified_user_email" } });
    app.bench.sandbox.fault("github_token", refused).await;
    let ended = Visit::begin(&app, "github").await.end(&app).await;
    assert_refused(&app, ended, "unverified", words).await;
    assert_eq!(count_users(&app).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_somebody_else_registered_for_an_address_is_gone_when_its_owner_comes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.register(ADA, "the attacker's password").await;
    let code = app.last_code(ADA, Purpose::VerifyEmail).await;
    let me = sign_in(&app, "google").await;
    assert_eq!((&me["email"], &me["first_name"]), (&json!(ADA), &json!("Ada")));
    assert_eq!(me["tenants"].as_array().unwrap().len(), 1, "not the attacker's");
    assert_eq!(me["tenants"][0]["name"], json!("Ada Rossi"));
    assert_problem(&login(&app, ADA, "the attacker's password").await, 401, "wrong_password");
    assert_problem(&app.open("verify-email", json!({ "code": code, "password": PASSWORD })).await, 422, "bad_code");
    assert_problem(&login(&app, ADA, "the attacker's password").await, 401, "wrong_password");
}

#[sqlx::test(migrations = "../migrations")]
async fn of_many_first_visits_at_once_one_makes_the_person(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut visits = Vec::new();
    for provider in ["google", "github", "google", "github", "google", "google"] {
        visits.push(Visit::begin(&app, provider).await);
    }
    let ended = futures_util::future::join_all(visits.iter().map(|visit| visit.end(&app))).await;
    assert!(ended.iter().all(|response| location(response) == "/home"));
    assert_eq!(count_users(&app).await, 1);
    assert_eq!(sign_in(&app, "google").await["tenants"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_callback_counts_once_in_the_browser_where_it_began(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let words = "began in another browser";
    let (visit, other) = (Visit::begin(&app, "google").await, Visit::begin(&app, "google").await);
    let wrong = visit.path().replace(&visit.part("state"), &other.part("state"));
    let without = format!("{}?code={}", visit.back.path(), visit.part("code"));
    for (path, cookie) in [
        (visit.path(), None),
        (visit.path(), Some(&other.cookie)),
        (wrong, Some(&visit.cookie)),
        (without, Some(&visit.cookie)),
        (visit.back.path().to_owned(), Some(&visit.cookie)),
        (visit.path().replace("google", "github"), Some(&visit.cookie)),
    ] {
        let ended = come_back(&app, &path, cookie.map(String::as_str)).await;
        assert_refused(&app, ended, "stale", words).await;
    }
    assert_eq!(app.bench.sandbox.calls("google_token").await, 0, "no code was exchanged");

    let mixed = format!("{}?code={}&state={}", visit.back.path(), other.part("code"), visit.part("state"));
    let ended = come_back(&app, &mixed, Some(&visit.cookie)).await;
    assert_refused(&app, ended, "failed", "did not answer as it should").await;
    let ended = visit.end(&app).await;
    assert_eq!(location(&ended), "/home", "the code works for its own attempt");
    let used = set_cookies(&ended).into_iter().find(|cookie| cookie.starts_with("linecook_sign_in_google=;"));
    let used = used.expect("the response deletes the cookie");
    assert!(used.contains("Max-Age=0") && used.contains("Path=/"), "{used}");
    assert_refused(&app, come_back(&app, &visit.path(), None).await, "stale", words).await;
    assert_refused(&app, visit.end(&app).await, "failed", "did not answer as it should").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn whoever_cancels_is_told_so(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.bench.sandbox.control("switches", json!({ "deny_login": true })).await;
    for (provider, label) in [("google", "at Google was"), ("github", "at GitHub was")] {
        let ended = Visit::begin(&app, provider).await.end(&app).await;
        assert_refused(&app, ended, "cancelled", label).await;
    }
    assert_eq!(count_users(&app).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_provider_that_fails_leads_back_to_the_form(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let html = json!({ "status": 200, "body": "<html>" });
    for (operation, fault) in [
        ("google_token", json!({ "status": 500, "body": "<html>" })),
        ("google_token", html.clone()),
        ("google_token", json!({ "drop": "after" })),
        ("google_user", json!({ "status": 200, "body": { "sub": "", "email": ADA, "email_verified": true } })),
        ("google_user", json!({ "delay_ms": 60_000 })),
        ("github_token", json!({ "status": 200, "body": { "error": "incorrect_client_credentials" } })),
        ("github_token", html.clone()),
        ("github_user", json!({ "truncate_body": 20 })),
        ("github_user", json!({ "status": 401, "body": { "message": "Bad credentials" } })),
        ("github_emails", json!({ "status": 302, "headers": { "location": "https://example.com" } })),
    ] {
        app.bench.sandbox.fault(operation, fault.clone()).await;
        let provider = operation.split('_').next().unwrap();
        let ended = Visit::begin(&app, provider).await.end(&app).await;
        assert_refused(&app, ended, "failed", "did not answer as it should").await;
    }
    assert_eq!(count_users(&app).await, 0);
    assert_eq!(sign_in(&app, "google").await["email"], json!(ADA), "it works again");
}

#[sqlx::test(migrations = "../migrations")]
async fn only_providers_that_are_set_up_are_offered(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_admin, url) = app.serve_apart_with(&[("GOOGLE_CLIENT_ID", "")]).await;
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let get = async |url: &str, path: &str| client.get(format!("{url}{path}")).send().await.unwrap();
    for path in ["/sign-in", "/sign-up"] {
        let (all, some) = (get(&app.url, path).await, get(&url, path).await);
        let (all, some) = (all.text().await.unwrap(), some.text().await.unwrap());
        assert!(all.contains("Sign in with Google") && all.contains("Sign in with GitHub"), "{all}");
        assert!(!some.contains("Google") && some.contains("Sign in with GitHub"), "{some}");
    }
    for path in ["/sign-in/google", "/sign-in/google/callback?state=a&code=b", "/sign-in/facebook"] {
        assert_eq!(get(&url, path).await.status(), 404, "{path}");
    }
    let said = get(&url, "/sign-in?with=google&why=%3Cb%3E").await.text().await.unwrap();
    assert!(!said.contains("alert"), "{said}");
}

#[sqlx::test(migrations = "../migrations")]
async fn tries_are_counted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut statuses = Vec::new();
    for attempt in 0..32 {
        let path = if attempt % 2 == 0 { "/sign-in/google" } else { "/sign-in/github" };
        statuses.push(come_back(&app, path, None).await.status().as_u16());
    }
    assert_eq!(statuses, [[303; 30].as_slice(), &[429; 2]].concat());
}

#[sqlx::test(migrations = "../migrations")]
async fn other_sites_do_not_lock_a_visitor_out(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let visit = Visit::begin(&app, "google").await;
    let fake = "/sign-in/google/callback?state=a&code=b";
    for site in ["cross-site", "same-site"] {
        for path in ["/sign-in/google", fake, "/invitations/nonsense"] {
            for _ in 0..12 {
                let sent = app.anonymous(Method::GET, path).header("sec-fetch-site", site).send().await.unwrap();
                let cookies = set_cookies(&sent);
                assert!(!cookies.iter().any(|cookie| cookie.contains("Max-Age=600")), "{path} began: {cookies:?}");
            }
        }
    }
    let request = app.anonymous(Method::GET, &visit.path()).header("cookie", &visit.cookie);
    let ended = request.header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(location(&ended), "/home", "the provider's way back is one from another site, too");
    let own = app.anonymous(Method::GET, "/sign-in/google").header("sec-fetch-site", "same-origin").send().await;
    assert_ne!(location(&own.unwrap()), "/sign-in");
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_new_comes_in_from_elsewhere_only_where_that_is_let(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let (_, me) = app.call(&owner, Method::GET, "auth/me", Value::Null).await;
    let invitations = format!("tenants/{}/invitations", me["tenants"][0]["tenant_id"].as_str().unwrap());
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    for (sign_up, is_invited, expected) in [
        ("closed", false, "/sign-in?with=google&why=closed"),
        ("invited", false, "/sign-in?with=google&why=closed"),
        ("closed", true, "/sign-in?with=google&why=closed"),
        ("invited", true, "/home"),
        ("closed", true, "/home"),
    ] {
        let (_admin, url) = app.serve_apart_with(&[("SIGN_UP", sign_up)]).await;
        if is_invited && count_users(&app).await == 1 {
            let body = json!({ "email": ADA, "role": "member" });
            assert_eq!(app.call(&owner, Method::POST, &invitations, body).await.0, 201);
        }
        let visit = Visit::begin_at(&url, "google").await;
        let ended = client.get(format!("{url}{}", visit.path())).header("cookie", &visit.cookie).send().await.unwrap();
        assert_eq!(location(&ended), expected, "{sign_up} {is_invited}");
    }
    assert_eq!(count_users(&app).await, 2, "and who is in stays in");
}

#[sqlx::test(migrations = "../migrations")]
async fn codes_and_tokens_are_not_logged(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (admin, url) = app.serve_apart_with(&[("RUST_LOG", "debug")]).await;
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let faults = [
        ("google_token", json!({ "status": 500, "body": "<html>" })),
        ("google_user", json!({ "status": 200, "body": "<html>" })),
        ("github_emails", json!({ "drop": "before" })),
        ("github_user", json!({ "delay_ms": 1 })),
    ];
    let mut secrets = vec!["ya29.".to_owned(), "gho_".to_owned(), "sandbox-secret".to_owned()];
    for (operation, fault) in faults {
        app.bench.sandbox.fault(operation, fault).await;
        let visit = Visit::begin_at(&url, operation.split('_').next().unwrap()).await;
        let ended = client.get(format!("{url}{}", visit.path())).header("cookie", &visit.cookie).send().await.unwrap();
        assert!(ended.status().is_redirection(), "{}", ended.status());
        secrets.push(visit.part("code"));
        secrets.extend(visit.cookie.split_once('=').unwrap().1.split('.').map(str::to_owned));
    }
    until("the failures are logged", std::time::Duration::from_secs(10), async || {
        let log = admin.log();
        (log.iter().filter(|line| line.contains("nobody could be signed in elsewhere")).count() == 3).then_some(())
    })
    .await;
    let log = admin.log().join("\n");
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}
