//! The operators' pages over a ledger of a million jobs: they are as light as over an empty one, and
//! the test prints how long each takes.
//!
//! `scripts/test --long --test console a_full_ledger -- --nocapture` fills a million; a shorter run
//! some thousands. No time is asserted.

mod ledger;

use std::time::Instant;

use sqlx::PgPool;
use tests::{TestApp, optional_setting};

use super::{
    browser::{Chromium, Tab, operator_cookie_of},
    budgets,
    pages::{ERRORS, OPERATORS},
    stage,
};

/// The loads of a page of which the median is printed.
const LOADS: usize = 5;

/// The time of the first paint in milliseconds, from the beginning of the navigation.
const FIRST_PAINT: &str = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1";

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Returns the time until the whole page is there, without a browser.
async fn served_ms(app: &TestApp, cookie: &str, path: &str) -> f64 {
    let mut times = Vec::new();
    for _ in 0..LOADS {
        let begun = Instant::now();
        let answer = budgets::get(app, cookie, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.bytes().await.unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    median(times)
}

async fn painted_ms(app: &TestApp, tab: &Tab, path: &str) -> f64 {
    let mut times = Vec::new();
    for _ in 0..LOADS {
        tab.open(&format!("{}{path}", app.url)).await;
        tab.until(&format!("({FIRST_PAINT}) >= 0")).await;
        times.push(tab.look(FIRST_PAINT).await);
    }
    median(times)
}

#[sqlx::test(migrations = "../migrations")]
async fn a_full_ledger_leaves_the_pages_light(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let cookie = operator_cookie_of(&app, "ops@example.com").await;
    let is_long = optional_setting("LINECOOK_LONG").is_some();
    stage::fill(&app).await;
    let filled = ledger::fill(&app, if is_long { 1_000_000 } else { 5_000 }).await;
    sqlx::raw_sql("vacuum analyze").execute(&pool).await.unwrap();
    let mut paths: Vec<String> =
        OPERATORS.iter().filter(|path| !ERRORS.contains(path)).map(|path| (*path).to_owned()).collect();
    paths.extend([
        "/jobs?state=discarded".to_owned(),
        "/jobs?state=scheduled&queue=posting".to_owned(),
        "/jobs?not_state=completed".to_owned(),
        "/jobs?kind=refresh_token&state=completed".to_owned(),
        "/jobs?q=oven".to_owned(),
        format!("/jobs?q={}", filled.delivery),
        format!("/jobs?account={}", filled.account),
        format!("/jobs?workspace={}", filled.tenant),
        format!("/jobs/{}", filled.failed),
        format!("/tenants/{}", filled.tenant),
        "/tenants?q=restaurant+17".to_owned(),
        "/jobs/stats?span=hour".to_owned(),
        "/jobs/stats?span=month".to_owned(),
        "/keys".to_owned(),
    ]);
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.size(1280, 900).await;
    tab.sign_in(&app, &cookie).await;
    println!("| page | served, ms | first paint, ms | HTML, bytes | requests |\n|---|--:|--:|--:|--:|");
    for path in paths {
        let weight = budgets::weigh(&app, &cookie, &path).await;
        let (served, painted) = (served_ms(&app, &cookie, &path).await, painted_ms(&app, &tab, &path).await);
        println!("| `{path}` | {served:.0} | {painted:.0} | {} | {} |", weight.html, weight.requests);
    }
    assert_eq!(tab.complaints(), Vec::<String>::new());
    chromium.close().await;
}
