//! Stored scripts appear as text on every page.

use jobs::{
    audit::{self, Actor, Entry},
    ids::{AccountId, TenantId},
    posts,
    tenants::{keys, permissions::Permissions},
};
use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, people::PASSWORD};
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use super::{
    browser::{Chromium, Tab, cookie_of, operator_cookie_of},
    stage,
};

/// Ways to run a script that was stored as a text.
pub(crate) const PAYLOADS: [&str; 30] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "\" onfocus=alert(1) autofocus=\"",
    "' onfocus=alert(1) autofocus='",
    "\" onmouseover=alert(1) x=\"",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "javascript:alert(1)",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<math><mtext><script>alert(1)</script></mtext></math>",
    "<object data=javascript:alert(1)>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<form action=javascript:alert(1)><button autofocus>x</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "{{ 7 * 7 }}<script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
];

#[sqlx::test(migrations = "../migrations")]
async fn a_stored_script_is_a_word(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let ada = app.sign_in("ada@example.com", PASSWORD).await;
    let me = app.call(&ada, reqwest::Method::GET, "auth/me", json!(null)).await.1;
    let tenant = me["current_tenant_id"].as_str().unwrap().to_owned();
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    for payload in PAYLOADS {
        let names = json!({ "first_name": payload, "last_name": payload });
        assert_eq!(app.call(&ada, reqwest::Method::PATCH, "auth/me", names).await.0, 200, "{payload}");
        let settings = json!({ "name": payload, "company_name": payload, "description": payload, "tone": payload });
        let path = format!("tenants/{tenant}");
        assert_eq!(app.call(&ada, reqwest::Method::PATCH, &path, settings).await.0, 200, "{payload}");
        for page in ["/me", "/workspace"] {
            tab.open(&format!("{}{page}", app.url)).await;
            let shown: bool =
                tab.look(&format!("document.querySelector('.opener .cut').textContent.includes({payload:?})")).await;
            assert!(shown, "{page} {payload}");
            shows_words_only(&tab, &format!("{page} {payload}")).await;
        }
    }
    assert_eq!(tab.dialogs(), 0);
    chromium.close().await;
}

async fn shows_words_only(tab: &Tab, what: &str) {
    let foreign =
        "document.querySelectorAll('main script, main img, main iframe, main object, main video, main math').length";
    assert_eq!(tab.look::<i64>(foreign).await, 0, "{what}");
    assert_eq!(tab.complaints(), Vec::<String>::new(), "{what}");
}

/// Gives a text to everything that people and providers name, each in a row of its own where there
/// may be many.
async fn name_everything(app: &TestApp, account: AccountId, text: &str) {
    let tenant_id = app.bench.tenant_id;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    keys::insert(&mut tx, TenantId::SYSTEM, text, None, &Permissions::full()).await.unwrap();
    posts::store::insert_post(&mut tx, tenant_id, text, None).await.unwrap();
    let email = format!("{}@example.com", Uuid::now_v7());
    let operator = "insert into users (id, email, first_name, last_name, operator_role)
        values ($1, $2, $3, $3, 'full')";
    sqlx::query(operator).bind(Uuid::now_v7()).bind(email).bind(text).execute(&mut *tx).await.unwrap();
    for named in [
        "update tenants set name = $2 where id = $1",
        "update brand_assets set name = $2 where tenant_id = $1",
        "update social_accounts set name = $2, status = 'needs_reauth', status_reason = $2 where tenant_id = $1",
    ] {
        sqlx::query(named).bind(tenant_id.0).bind(text).execute(&mut *tx).await.unwrap();
    }
    let entry = Entry::new(tenant_id, "test.name", "account", account, json!({ "name": text }));
    audit::append(&mut tx, &app.bench.engine.services.keyring, &Actor::command_line(), &[entry]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Returns those of some texts that a page does not show.
async fn missing(tab: &Tab, texts: &[&str]) -> Vec<String> {
    tab.look(&format!("{}.filter((text) => !document.body.textContent.includes(text))", json!(texts))).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stored_script_is_a_word_on_the_pages_of_operators(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, "ops@example.com").await;
    let account = app.bench.connect_page().await;
    app.bench.picture().await;
    let tenant = app.bench.tenant_id;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    for payload in PAYLOADS {
        name_everything(&app, account, payload).await;
        let stage = stage::write(&app, account, Some(payload)).await;
        let searched: String = byte_serialize(payload.as_bytes()).collect();
        for page in [
            format!("/jobs/{}", stage.failed),
            format!("/jobs/{}", stage.unknown),
            format!("/tenants/{tenant}"),
            format!("/search?workspace={tenant}&q={searched}"),
            "/jobs/parked".to_owned(),
        ] {
            tab.open(&format!("{}{page}", app.url)).await;
            assert_eq!(missing(&tab, &[payload]).await, Vec::<String>::new(), "{page}");
            shows_words_only(&tab, &format!("{page} {payload}")).await;
        }
    }
    for page in ["/jobs?state=discarded", "/jobs/workers", "/operators", "/keys"] {
        tab.open(&format!("{}{page}", app.url)).await;
        assert_eq!(missing(&tab, &PAYLOADS).await, Vec::<String>::new(), "{page}");
        shows_words_only(&tab, page).await;
    }
    assert_eq!(tab.dialogs(), 0);
    chromium.close().await;
}
