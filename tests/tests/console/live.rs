//! Pages that stay as things are now: the board, and the page of a job.

use std::time::Duration;

use admin::Pace;
use jobs::{engine::NewJob, noop::Noop};
use sqlx::PgPool;
use tests::{
    TestApp,
    proxy::{Network, Proxy},
    setting,
};

use super::browser::{Chromium, Tab, operator_cookie_of};

const ROWS: &str = "document.querySelectorAll('.job').length";

async fn opened(pool: PgPool) -> (TestApp, Chromium, String) {
    let pace = Pace { board: Duration::from_millis(50), poll: Duration::from_millis(50), ..Pace::default() };
    let app = TestApp::with_pace(pool, &setting("REDIS_URL"), pace).await;
    let cookie = operator_cookie_of(&app, "ops@example.com").await;
    app.bench.drain().await;
    (app, Chromium::start().await, cookie)
}

async fn says(tab: &Tab, words: &str) {
    tab.until(&format!("document.querySelector('#live')?.textContent.startsWith('{words}')")).await;
}

/// Makes jobs for later.
async fn later(app: &TestApp, count: usize) {
    let at = app.bench.now().await + Duration::from_hours(1);
    let mut tx = app.bench.engine.db.tenant(app.bench.tenant_id).await.unwrap();
    tx.enqueue_all(vec![NewJob::new(app.bench.tenant_id, &Noop::default()).at(at); count]).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn the_board_changes_by_itself_but_not_while_somebody_chooses(pool: PgPool) {
    let (app, chromium, cookie) = opened(pool).await;
    let (tab, other) = (chromium.tab().await, chromium.window().await);
    for tab in [&tab, &other] {
        tab.sign_in(&app, &cookie).await;
        tab.open(&format!("{}/jobs?kind=noop", app.url)).await;
        tab.look::<bool>("window.isSame = true").await;
        says(tab, "Live").await;
    }
    later(&app, 1).await;
    for tab in [&tab, &other] {
        tab.until(&format!("{ROWS} === 1")).await;
        tab.until("document.querySelector('#states').textContent.includes('Scheduled1')").await;
    }
    tab.press("j").await;
    tab.press("x").await;
    says(&tab, "Paused while you choose").await;
    later(&app, 1).await;
    other.until(&format!("{ROWS} === 2")).await;
    assert_eq!(tab.look::<i64>(ROWS).await, 1, "what somebody chooses from stays");
    tab.press("x").await;
    tab.until(&format!("{ROWS} === 2")).await;
    says(&tab, "Live").await;
    assert!(tab.look::<bool>("document.activeElement.closest('.job') !== null").await, "the focus stays in the list");
    for tab in [&tab, &other] {
        assert!(tab.look::<bool>("window.isSame").await, "the page was not loaded anew");
        assert_eq!(tab.complaints(), Vec::<String>::new());
    }
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stream_that_is_cut_is_said_to_be_and_goes_on(pool: PgPool) {
    let (app, chromium, cookie) = opened(pool).await;
    let proxy = Proxy::before(&app.url).await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}jobs?kind=noop", proxy.url)).await;
    says(&tab, "Live").await;
    proxy.make(Network::Cut);
    says(&tab, "Live updates paused").await;
    later(&app, 1).await;
    proxy.make(Network::Whole);
    tab.until(&format!("{ROWS} === 1")).await;
    tab.until("document.querySelector('#live').textContent === 'Live'").await;
    let complaints = tab.complaints();
    assert!(complaints.iter().all(|complaint| complaint.contains("net::ERR_")), "{complaints:?}");
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_action_on_all_that_match_shows_how_far_it_is_and_what_it_did(pool: PgPool) {
    let (app, chromium, cookie) = opened(pool).await;
    later(&app, 1_200).await;
    let tab = chromium.tab().await;
    tab.size(1280, 900).await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}/jobs?kind=noop", app.url)).await;
    tab.tab_to("[popovertarget=matching]").await;
    tab.press("Enter").await;
    tab.tab_to("#matching a[href*='action=cancel']").await;
    tab.press("Enter").await;
    tab.until("document.querySelector('#matching-title')?.textContent === 'Cancel 1,200 jobs?'").await;
    tab.tab_to("main .button.bad").await;
    tab.press("Enter").await;
    tab.until("/^\\/jobs\\/[0-9a-f-]{36}$/.test(location.pathname)").await;
    tab.look::<bool>("window.isSame = true").await;
    says(&tab, "Live").await;
    progress(&app, 1, 500).await;
    tab.until("document.querySelector('progress')?.value === 500").await;
    progress(&app, 2, 1_000).await;
    tab.until("document.querySelector('progress').value === 1000").await;
    app.bench.drain().await;
    tab.until("document.querySelector('#now').textContent.includes('1,200 jobs were cancelled.')").await;
    assert!(tab.look::<bool>("window.isSame").await, "the page was not loaded anew");
    assert_eq!(tab.complaints(), Vec::<String>::new());
    chromium.close().await;
}

/// Writes down that the action got so far, as the job does after each chunk.
async fn progress(app: &TestApp, seq: i32, done: i64) {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let sql = "insert into job_events (tenant_id, job_id, seq, attempt, level, message, done, total)
        select tenant_id, id, $1, 1, 'progress', 'cancelled', $2, 1200 from jobs where kind = 'act_on_jobs'";
    sqlx::query(sql).bind(seq).bind(done).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}
