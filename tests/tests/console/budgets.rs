//! The size of pages, and their addresses, forms and responses, without a browser.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use reqwest::{Method, Response};
use sqlx::PgPool;
use tests::TestApp;

use super::{
    browser::{cookie_of, operator_cookie_of},
    pages::{OPERATORS, SIGNED_IN},
    stage,
};

const KB: usize = 1024;
const SCRIPTS: usize = 30 * KB;
const STYLES: usize = 15 * KB;
const HTML: usize = 40 * KB;
const REQUESTS: usize = 12;

fn compressed(text: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap().len()
}

pub(crate) async fn get(app: &TestApp, cookie: &str, path: &str) -> Response {
    let request = app.anonymous(Method::GET, path).header("cookie", cookie).header("accept", "text/html");
    request.send().await.unwrap()
}

/// Returns a page, after the redirect to its workspace.
async fn page(app: &TestApp, cookie: &str, path: &str) -> String {
    let answer = get(app, cookie, path).await;
    let Some(address) = answer.headers().get("location") else {
        return answer.text().await.unwrap();
    };
    get(app, cookie, address.to_str().unwrap()).await.text().await.unwrap()
}

fn assets_in(text: &str, folder: &str) -> Vec<String> {
    let named = text.split(['"', '\'']).filter(|part| part.starts_with("/s/") || part.starts_with("./"));
    named
        .map(|part| part.strip_prefix("./").map_or_else(|| part.to_owned(), |name| format!("{folder}/{name}")))
        .collect()
}

/// The compressed size of a page, with all that it loads.
#[derive(Debug, Default)]
pub(crate) struct Weight {
    pub(crate) html: usize,
    pub(crate) scripts: usize,
    pub(crate) styles: usize,
    pub(crate) requests: usize,
}

/// Weighs a page.
///
/// # Panics
/// If it is too heavy.
pub(crate) async fn weigh(app: &TestApp, cookie: &str, path: &str) -> Weight {
    let html = page(app, cookie, path).await;
    let mut waiting = assets_in(&html, "");
    let folder = waiting[0].rsplit_once('/').unwrap().0.to_owned();
    let (mut loaded, mut weight) =
        (Vec::new(), Weight { html: compressed(html.as_bytes()), requests: 1, ..Weight::default() });
    while let Some(address) = waiting.pop() {
        if loaded.contains(&address) {
            continue;
        }
        let answer = app.anonymous(Method::GET, &address).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{address}");
        assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
        let text = answer.text().await.unwrap();
        match address.rsplit('.').next() {
            Some("js") => {
                weight.scripts += compressed(text.as_bytes());
                waiting.extend(assets_in(&text, &folder));
            }
            Some("css") => weight.styles += compressed(text.as_bytes()),
            Some(_) | None => {}
        }
        loaded.push(address);
    }
    weight.requests += loaded.len();
    assert!(weight.html <= HTML && weight.requests <= REQUESTS, "{path}: {weight:?}");
    assert!(weight.scripts > 0 && weight.scripts <= SCRIPTS, "{path}: {weight:?}");
    assert!(weight.styles > 0 && weight.styles <= STYLES, "{path}: {weight:?}");
    weight
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_is_light(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (cookie, staff) = (cookie_of(&app, "ada@example.com").await, operator_cookie_of(&app, "ops@example.com").await);
    stage::fill(&app).await;
    for (cookie, paths) in [(&cookie, SIGNED_IN), (&staff, OPERATORS)] {
        for path in paths {
            weigh(&app, cookie, path).await;
        }
    }
    let packed = app.anonymous(Method::GET, &assets_in(&page(&app, &cookie, "/me").await, "")[0]);
    let packed = packed.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
}

#[sqlx::test(migrations = "../migrations")]
async fn browsers_get_pages_where_programs_get_problems(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let answer = get(&app, &cookie, "/nowhere").await;
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
        (404, "text/html; charset=utf-8")
    );
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self'; style-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let program = app.anonymous(Method::GET, "/nowhere").send().await.unwrap();
    assert_eq!(program.headers()["content-type"], "application/problem+json");
    for (path, leads_to) in [("/", "/sign-in"), ("/me?x=1", "/sign-in?next=%2Fme%3Fx%3D1")] {
        let answer = get(&app, "", path).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, leads_to));
    }
    let landed = get(&app, &cookie, "/").await;
    assert!(landed.headers()["location"].to_str().unwrap().starts_with("/accounts?workspace="));
    let theirs = format!("/workspace?workspace={}", app.bench.tenant_id);
    assert_eq!(get(&app, &cookie, &theirs).await.status(), 404, "of another tenant");
}

fn hidden(html: &str, form: &str, name: &str) -> String {
    let (_, form) = html.split_once(form).unwrap();
    let (_, field) = form.split_once(&format!("name=\"{name}\"")).unwrap();
    let (_, field) = field.split_once("value=\"").unwrap();
    field.split('"').next().unwrap().to_owned()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_form_has_its_effect_once_from_our_pages_only_and_shows_a_conflict(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let first = get(&app, &cookie, "/workspace").await.headers()["location"].to_str().unwrap().to_owned();
    let html = page(&app, &cookie, &first).await;
    let names = ["idempotency_key", "version", "name", "email"];
    let form = "class=\"stack\"";
    let mut fields: Vec<(&str, String)> = names.iter().map(|name| (*name, hidden(&html, form, name))).collect();
    for empty in [
        "company_name",
        "description",
        "country",
        "time_zone",
        "brand_hashtag",
        "shop_url",
        "primary_color",
        "secondary_color",
    ] {
        fields.push((empty, String::new()));
    }
    fields.push(("tone", "dry".to_owned()));
    let send = async |origin: &str, fields: &[(&str, String)]| {
        let request = app.anonymous(Method::POST, &first).header("cookie", &cookie).header("origin", origin);
        let answer = request.header("accept", "text/html").form(fields).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(send("https://evil.example.com", &fields).await.0, 401);
    for _ in 0..2 {
        assert_eq!(send(&app.url, &fields).await.0, 303, "the second is answered as the first");
    }
    let log: i64 = {
        let mut tx = app.bench.engine.db.system().await.unwrap();
        let sql = "select count(*) from audit_log where action = 'tenant.update'";
        sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap()
    };
    assert_eq!(log, 1);
    // Another tab, which was opened before.
    fields[0].1 = "another".to_owned();
    fields.last_mut().unwrap().1 = "warm".to_owned();
    let (status, shown) = send(&app.url, &fields).await;
    assert_eq!(status, 409);
    assert!(
        shown.contains("Somebody else changed") && shown.contains("It is now: dry") && shown.contains("value=\"warm\""),
        "{shown}"
    );
    fields[0].1 = "third".to_owned();
    fields[1].1 = hidden(&shown, form, "version");
    assert_eq!(send(&app.url, &fields).await.0, 303);
}

#[sqlx::test(migrations = "../migrations")]
async fn members_read_and_owners_write_in_the_workspace_of_the_address(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let html = page(&app, &cookie, "/workspace").await;
    assert!(html.contains("name=\"tone\""), "{html}");
    app.bench.execute("update tenant_users set role = 'member' where $1 <> tenant_id", uuid::Uuid::nil()).await;
    let html = page(&app, &cookie, "/workspace").await;
    assert!(!html.contains("name=\"tone\"") && html.contains("Owners and admins"), "{html}");
    let address = get(&app, &cookie, "/workspace").await.headers()["location"].to_str().unwrap().to_owned();
    let post = |path: &str| {
        let form = [("version", "x"), ("name", "x")];
        app.anonymous(Method::POST, path).header("cookie", &cookie).header("origin", &app.url).form(&form)
    };
    assert_eq!(post(&address).send().await.unwrap().status(), 403);
}
