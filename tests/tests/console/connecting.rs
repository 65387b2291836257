//! Connecting accounts in a browser: through the provider's dialog to the result.

use std::{net::TcpListener, path::Path};

use jobs::ids::OauthStateId;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, optional_setting};

use super::{
    browser::{Chromium, Tab, cookie_of},
    pages::faults,
};

const ADA: &str = "10220000000000011";

/// Ada, and Bea, who has nothing.
fn people(pages: &Value) -> Value {
    json!({ "people": [
        { "id": ADA, "name": "Ada Rossi", "pages": pages },
        { "id": "10220000000000012", "name": "Bea Bianchi", "pages": [] },
    ] })
}

/// Two Pages, one of which has a personal Instagram account.
fn two_pages() -> Value {
    let instagram = json!({ "id": "1", "username": "bar.aurora", "is_business": false });
    json!([
        { "id": "10158250000000101", "name": "Trattoria Aurora" },
        { "id": "10158250000000102", "name": "Bar Aurora", "instagram": instagram },
    ])
}

/// Runs a login of the bench's tenant. Returns its id.
async fn log_in(app: &TestApp) -> OauthStateId {
    let job = app.bench.begin_login().await;
    app.bench.drain().await;
    serde_json::from_value(app.bench.job(job).await.args["state_id"].clone()).unwrap()
}

/// Makes a run of connecting in each state, for operators to look at. Returns the addresses.
pub(crate) async fn states(app: &TestApp) -> Vec<(&'static str, String)> {
    let sandbox = &app.bench.sandbox;
    let address = |id: OauthStateId| format!("/connections/{id}?workspace={}", app.bench.tenant_id);
    sandbox.control("people", people(&two_pages())).await;
    let choosing = log_in(app).await;
    let connected = log_in(app).await;
    app.bench.choose_accounts(connected, |_| true).await;
    let granted = json!(["pages_show_list", "pages_read_engagement"]);
    sandbox.control("login", json!({ "person_id": ADA, "granted_scopes": granted })).await;
    let declined = log_in(app).await;
    app.bench.choose_accounts(declined, |_| true).await;
    sandbox.control("login", json!({ "person_id": ADA })).await;
    let all = json!(["10158250000000101", "10158250000000102"]);
    sandbox.control("switches", json!({ "pages_without_token": all })).await;
    let none_usable = log_in(app).await;
    sandbox.control("switches", json!({ "pages_without_token": [] })).await;
    sandbox.control("people", people(&json!([]))).await;
    let no_account = log_in(app).await;
    sandbox.control("people", people(&two_pages())).await;
    let job = app.bench.begin_login().await;
    let exchanging = serde_json::from_value(app.bench.job(job).await.args["state_id"].clone()).unwrap();
    // Each run of the jobs above was a worker of the same name.
    let mut tx = app.bench.engine.db.system().await.unwrap();
    sqlx::query("delete from workers where name = 'drain'").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let all = [
        ("connecting", exchanging),
        ("connecting-choosing", choosing),
        ("connecting-connected", connected),
        ("connecting-declined", declined),
        ("connecting-none-usable", none_usable),
        ("connecting-no-account", no_account),
    ];
    all.map(|(name, id)| (name, address(id))).into()
}

/// Returns the path of a link for clients.
pub(crate) async fn link(app: &TestApp) -> String {
    let path = format!("/api/v1/tenants/{}/connect-links", app.bench.tenant_id);
    let (status, made) = app.post(&path, json!({ "provider": "facebook" })).await;
    assert_eq!(status, 201, "{made}");
    made["url"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned()
}

/// An API and a worker to which the provider sends browsers back.
struct Reachable {
    app: TestApp,
    url: String,
    _programs: [tests::Worker; 2],
}

impl Reachable {
    async fn new(pool: PgPool) -> Self {
        let app = TestApp::new(pool).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let url = format!("http://127.0.0.1:{port}");
        let settings = [("PORT", port.as_str()), ("PUBLIC_URL", url.as_str()), ("RATE_LIMIT_CLIENT", "none")];
        let (admin, _) = app.serve_apart_with(&settings).await;
        let worker = app.worker(&[("PUBLIC_URL", &url)]).await;
        Self { app, url, _programs: [admin, worker] }
    }

    /// Begins to connect, and waits for the provider's dialog.
    async fn begin(&self, tab: &Tab) {
        tab.open(&format!("{}/accounts/connect/facebook", self.url)).await;
        tab.until("document.title.includes('sandbox') && document.readyState === 'complete'").await;
    }
}

async fn press_on(tab: &Tab, selector: &str, key: &str) {
    tab.tab_to(selector).await;
    tab.press(key).await;
}

/// Waits until a page of ours has these words, and asserts that nothing is wrong with it.
async fn shows(tab: &Tab, words: &str) {
    tab.until(&format!("document.querySelector('main')?.textContent.includes({words:?})")).await;
    assert_eq!(faults(tab).await, Vec::<String>::new(), "{words}");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_owner_connects_one_of_two_pages_by_keyboard(pool: PgPool) {
    let stage = Reachable::new(pool).await;
    let cookie = cookie_of(&stage.app, "ada@example.com").await;
    stage.app.bench.sandbox.control("people", people(&two_pages())).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&stage.app, &cookie).await;
    stage.begin(&tab).await;
    press_on(&tab, "button[value=allow]", "Enter").await;
    shows(&tab, "Choose what to connect").await;
    assert!(tab.look::<bool>("location.pathname.startsWith('/connections/')").await);
    press_on(&tab, "input[name=account]", " ").await;
    press_on(&tab, "main .button.main", "Enter").await;
    shows(&tab, "Posts can go out there").await;
    assert!(tab.look::<bool>("document.querySelector('main').textContent.includes('Bar Aurora')").await);
    let (_, accounts) = {
        let ada = stage.app.sign_in("ada@example.com", tests::people::PASSWORD).await;
        let (_, me) = stage.app.call(&ada, Method::GET, "auth/me", json!(null)).await;
        let path = format!("tenants/{}/accounts", me["current_tenant_id"].as_str().unwrap());
        stage.app.call(&ada, Method::GET, &path, json!(null)).await
    };
    assert_eq!(accounts["items"].as_array().unwrap().len(), 1, "{accounts}");
    chromium.close().await;
}

/// An answer to the dialog: its name, the fields that are changed, the button, and the words of the
/// result.
type Answer = (&'static str, &'static [&'static str], &'static str, &'static str);

const ANSWERS: [Answer; 6] = [
    ("denied", &[], "deny", "Nothing was changed"),
    ("a-scope-declined", &["scope.read_insights", "page.10158250000000102"], "allow", "read the figures of your Pages"),
    (
        "publishing-declined",
        &["scope.pages_manage_posts", "page.10158250000000102"],
        "allow",
        "nothing can be published",
    ),
    ("one-page", &["page.10158250000000102", "instagram.1"], "allow", "Posts can go out there"),
    ("no-page", &["page.10158250000000101", "page.10158250000000102", "instagram.1"], "allow", "No Page there"),
    ("no-token", &["page.10158250000000101", "page.10158250000000102"], "allow", "No Page can be used"),
];

#[sqlx::test(migrations = "../migrations")]
async fn each_answer_to_the_dialog_ends_on_a_page_that_says_what_to_do(pool: PgPool) {
    if optional_setting("LINECOOK_LONG").is_none() {
        return;
    }
    let stage = Reachable::new(pool).await;
    let cookie = cookie_of(&stage.app, "ada@example.com").await;
    stage.app.bench.sandbox.control("people", people(&two_pages())).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&stage.app, &cookie).await;
    for (scheme, (width, height)) in [("light", (1280, 900)), ("dark", (360, 740))] {
        tab.scheme(scheme).await;
        tab.size(width, height).await;
        for (name, unticked, button, words) in ANSWERS {
            stage.begin(&tab).await;
            for field in unticked {
                tab.look::<bool>(&format!("document.querySelector(`[name=\"{field}\"]`).checked = false")).await;
            }
            press_on(&tab, &format!("button[value={button}]"), "Enter").await;
            tab.until(&format!("document.querySelector('main')?.textContent.includes({words:?})")).await;
            let found = faults(&tab).await;
            let own = found.iter().filter(|fault| name != "denied" || !fault.contains("status of 400"));
            assert_eq!(own.collect::<Vec<_>>(), Vec::<&String>::new(), "{name} {scheme} {width}");
            if let Some(folder) = optional_setting("LINECOOK_SCREENS") {
                tab.screenshot(&Path::new(&folder).join(format!("answer-{name}-{scheme}-{width}.png"))).await;
            }
        }
    }
    chromium.close().await;
}
