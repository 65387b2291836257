//! Journeys over several pages, most of them by keyboard alone.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use tests::{
    TestApp,
    people::PASSWORD,
    proxy::{Network, Proxy},
};

use super::{
    browser::{Chromium, Tab, cookie_of, operator_cookie_of},
    pages::faults,
    stage,
};

const OPERATOR: &str = "ops@example.com";

async fn told(tab: &Tab, words: &str) {
    tab.until(&format!("document.querySelector('#notices')?.textContent.includes('{words}')")).await;
}

async fn press_on(tab: &Tab, selector: &str) {
    tab.tab_to(selector).await;
    tab.press("Enter").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_signs_in_finds_a_failed_job_retries_it_and_then_all(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_, factor) = app.operator_with_app(OPERATOR).await;
    stage::fill(&app).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.size(1280, 900).await;
    tab.open(&format!("{}/", app.url)).await;
    tab.tab_to("#email").await;
    tab.write(OPERATOR).await;
    tab.tab_to("#password").await;
    tab.write(PASSWORD).await;
    tab.press("Enter").await;
    tab.until("location.pathname === '/sign-in/code' && document.readyState === 'complete'").await;
    tab.tab_to("#code").await;
    tab.write(&factor.recovery_codes[0]).await;
    tab.press("Enter").await;
    tab.until("location.pathname === '/jobs' && document.readyState === 'complete'").await;

    press_on(&tab, ".red[href*='state=discarded']").await;
    tab.until("location.search.includes('discarded') && document.readyState === 'complete'").await;
    tab.press("j").await;
    tab.press("Enter").await;
    tab.until("document.querySelectorAll('.timeline > li').length === 5").await;
    tab.press("r").await;
    told(&tab, "The job runs again").await;

    press_on(&tab, ".back a").await;
    tab.until("location.pathname === '/jobs' && document.readyState === 'complete'").await;
    press_on(&tab, ".states a[href*='state=retryable']").await;
    tab.until("location.search.includes('retryable') && document.readyState === 'complete'").await;
    press_on(&tab, "[popovertarget=matching]").await;
    press_on(&tab, "#matching a[href*='action=retry']").await;
    tab.until("document.querySelector('#matching-title')?.textContent === 'Retry 1 job?'").await;
    press_on(&tab, "main form .button.main").await;
    told(&tab, "1 job runs now").await;
    assert_eq!(tab.complaints(), Vec::<String>::new());
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn two_tabs_write_into_the_workspaces_that_they_show(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let ada = app.sign_in("ada@example.com", PASSWORD).await;
    let (status, made) =
        app.call(&ada, Method::POST, "tenants", json!({ "name": "Hults Cafe", "email": "hults@example.com" })).await;
    assert_eq!(status, 201, "{made}");
    let chromium = Chromium::start().await;
    let (first_tab, second_tab) = (chromium.tab().await, chromium.window().await);
    for tab in [&first_tab, &second_tab] {
        tab.sign_in(&app, &cookie).await;
        tab.open(&format!("{}/workspace", app.url)).await;
    }
    let first: String = first_tab.look("new URLSearchParams(location.search).get('workspace')").await;
    press_on(&second_tab, "[popovertarget=workspaces]").await;
    press_on(&second_tab, "#workspaces button:not([aria-current])").await;
    second_tab.until(&format!("!location.search.includes('{first}') && document.readyState === 'complete'")).await;
    let other: String = second_tab.look("new URLSearchParams(location.search).get('workspace')").await;
    assert_ne!(first, other);
    for (tab, tone) in [(&first_tab, "dry"), (&second_tab, "warm")] {
        tab.tab_to("#tone").await;
        tab.write(tone).await;
        tab.press("Enter").await;
        told(tab, "was saved").await;
    }
    for (workspace, tone) in [(first, "dry"), (other, "warm")] {
        let (_, tenant) = app.call(&ada, Method::GET, &format!("tenants/{workspace}"), json!(null)).await;
        assert!(tenant.to_string().contains(&format!("\"{tone}\"")), "{tone} {tenant}");
    }
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_back_button_leads_to_the_list_as_it_was(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, OPERATOR).await;
    stage::fill(&app).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}/jobs?q=too+large", app.url)).await;
    tab.press("j").await;
    tab.press("Enter").await;
    tab.until("document.querySelectorAll('.timeline > li').length === 5").await;
    tab.press("r").await;
    told(&tab, "The job runs again").await;
    tab.look::<bool>("history.back() ?? true").await;
    tab.until("location.search === '?q=too+large' && document.querySelectorAll('.job').length === 1").await;
    tab.press("j").await;
    tab.press("x").await;
    tab.until("document.querySelector('#count').textContent === '1 chosen'").await;
    tab.press("c").await;
    told(&tab, "1 job was cancelled").await;
    assert_eq!(tab.complaints(), Vec::<String>::new());
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn dialogs_and_menus_give_the_focus_back(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, OPERATOR).await;
    stage::fill(&app).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    let openers = [
        ("/ui-parts", "[commandfor=sure][command=show-modal]", "#sure", "open"),
        ("/jobs?state=scheduled", "[popovertarget=matching]", "#matching", "matches(':popover-open')"),
        ("/jobs", "[popovertarget=account]", "#account", "matches(':popover-open')"),
    ];
    for (page, opener, opened, is_open) in openers {
        tab.open(&format!("{}{page}", app.url)).await;
        press_on(&tab, opener).await;
        tab.until(&format!("document.querySelector('{opened}').{is_open}")).await;
        tab.press("Tab").await;
        tab.press("Escape").await;
        tab.until(&format!("!document.querySelector('{opened}').{is_open}")).await;
        assert!(tab.look::<bool>(&format!("document.activeElement.matches({opener:?})")).await, "{opener}");
    }
    assert_eq!(tab.complaints(), Vec::<String>::new());
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_error_says_what_is_safe_and_leads_on(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let cookie = operator_cookie_of(&app, OPERATOR).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    sqlx::query("alter table parked_accounts rename to elsewhere").execute(&pool).await.unwrap();
    tab.open(&format!("{}/jobs/parked", app.url)).await;
    let found = faults(&tab).await;
    assert!(found.iter().all(|fault| fault.contains("status of 500")), "{found:?}");
    tab.until("document.querySelector('main').textContent.includes('Nothing was changed.')").await;
    sqlx::query("alter table elsewhere rename to parked_accounts").execute(&pool).await.unwrap();
    press_on(&tab, "main a[href='/jobs/parked']").await;
    tab.until("document.querySelector('main').textContent.includes('No account is parked')").await;
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_typed_survives_a_lost_connection_and_a_reload(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let proxy = Proxy::before(&app.url).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}me", proxy.url)).await;
    tab.tab_to("#last_name").await;
    tab.write("Lovelace").await;
    proxy.make(Network::Cut);
    tab.press("Enter").await;
    told(&tab, "There is no connection").await;
    assert!(tab.look::<String>("document.querySelector('#last_name').value").await.ends_with("Lovelace"));
    proxy.make(Network::Whole);
    tab.open(&format!("{}me", proxy.url)).await;
    assert!(tab.look::<String>("document.querySelector('#last_name').value").await.ends_with("Lovelace"));
    chromium.close().await;
}
