//! The job board: found, retried and settled, by keyboard, without JavaScript, and by those who
//! may.

use sqlx::PgPool;
use tests::TestApp;
use uuid::Uuid;

use super::{
    browser::{Chromium, cookie_of, operator_cookie_of},
    stage::{self, Stage},
    visits::{get, own, post},
};

const OPERATOR: &str = "ops@example.com";

async fn opened(pool: PgPool) -> (TestApp, Stage, String) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, OPERATOR).await;
    let stage = stage::fill(&app).await;
    (app, stage, cookie)
}

async fn state_of(app: &TestApp, id: Uuid) -> String {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let sql = "select state from job_ledger where id = $1";
    sqlx::query_scalar(sql).bind(id).fetch_one(&mut *tx).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_finds_a_failed_job_and_retries_it_by_keyboard(pool: PgPool) {
    let (app, stage, cookie) = opened(pool).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.size(1280, 900).await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}/", app.url)).await;
    tab.until("location.pathname === '/jobs'").await;
    tab.press("/").await;
    tab.until("document.activeElement.id === 'q'").await;
    tab.write("too large").await;
    tab.press("Enter").await;
    tab.until("location.search.includes('too+large') && document.querySelectorAll('.job').length === 1").await;
    tab.press("j").await;
    tab.until("document.activeElement.closest('.job') !== null").await;
    tab.press("r").await;
    tab.until("document.querySelector('#notices').textContent.includes('1 job runs now')").await;
    assert_eq!(state_of(&app, stage.failed).await, "available");
    assert_eq!(tab.complaints(), Vec::<String>::new());
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn several_are_chosen_and_cancelled_by_keyboard(pool: PgPool) {
    let (app, _, cookie) = opened(pool).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}/jobs?state=scheduled", app.url)).await;
    for key in ["j", "x", "j", "x"] {
        tab.press(key).await;
    }
    tab.until("document.querySelector('#count').textContent === '2 chosen'").await;
    tab.press("c").await;
    tab.until("document.querySelector('#notices').textContent.includes('2 jobs were cancelled')").await;
    assert_eq!(tab.look::<i64>("document.querySelectorAll('.job').length").await, 1);
    tab.press("?").await;
    tab.until("document.querySelector('#keys').open").await;
    assert_eq!(tab.complaints(), Vec::<String>::new());
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_failed_job_is_found_and_retried_without_javascript(pool: PgPool) {
    let (app, stage, cookie) = opened(pool).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.without_scripts().await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}/jobs", app.url)).await;
    tab.tab_to("#q").await;
    tab.write(&stage.failed.to_string()).await;
    tab.press("Enter").await;
    tab.until("document.querySelectorAll('.job').length === 1").await;
    tab.tab_to(".job-name a").await;
    tab.press("Enter").await;
    tab.until("document.querySelectorAll('.timeline > li').length === 5").await;
    tab.tab_to("[value=retry]").await;
    tab.press("Enter").await;
    tab.until("document.querySelector('#notices').textContent.includes('runs again')").await;
    assert_eq!(state_of(&app, stage.failed).await, "available");
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn all_that_match_are_acted_on_after_a_look_at_what_it_would_do(pool: PgPool) {
    let (app, stage, cookie) = opened(pool).await;
    let (status, page) = get(&app, &cookie, "/jobs/matching?kind=publish_post&action=retry").await;
    assert_eq!(status, 200);
    assert!(page.contains("Retry 2 jobs?") && page.contains("Nothing was done yet"), "{page}");
    assert!(page.contains("nobody knows whether its call arrived"), "{page}");
    assert_eq!(state_of(&app, stage.failed).await, "discarded");
    let (_, form) = page.split_once("<form method=\"post\" action=\"/jobs/matching").unwrap();
    let address =
        format!("/jobs/matching{}", form.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&"));
    for _ in 0..2 {
        let done = post(&app, &cookie, &address, &[("idempotency_key", "one")]).await;
        assert_eq!(
            (done.status().as_u16(), &done.headers()["location"]),
            (303, &"/jobs?kind=publish_post".parse().unwrap())
        );
    }
    assert_eq!(state_of(&app, stage.failed).await, "available");
    assert_eq!(state_of(&app, stage.unknown).await, "suspended");
    assert_eq!(get(&app, &cookie, "/jobs/matching?action=retry").await.0, 400, "not every job there is");
    assert_eq!(get(&app, &cookie, "/jobs?state=nope").await.0, 400);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_outcome_is_explained_and_settled(pool: PgPool) {
    let (app, stage, cookie) = opened(pool).await;
    let path = format!("/jobs/{}", stage.unknown);
    let (_, page) = get(&app, &cookie, &path).await;
    assert!(page.contains("Nobody knows whether its call arrived") && page.contains("It is 122093_456"), "{page}");
    let (_, rest) = page.split_once(&format!("action=\"{path}/effects/")).unwrap();
    let effect = format!("{path}/effects/{}", rest.split('"').next().unwrap());
    assert_eq!(post(&app, &cookie, &effect, &[("outcome", "happened"), ("remote_id", " ")]).await.status(), 422);
    let settled = post(&app, &cookie, &effect, &[("outcome", "happened"), ("remote_id", "122093_456")]).await;
    assert_eq!(settled.status(), 303);
    assert_eq!(state_of(&app, stage.unknown).await, "available");
    let again = post(&app, &cookie, &effect, &[("outcome", "give_up")]).await;
    assert_eq!(again.status(), 303, "somebody was faster: the page says so");
    assert!(again.headers().get_all("set-cookie").iter().any(|cookie| cookie.to_str().unwrap().contains("notice")));
}

#[sqlx::test(migrations = "../migrations")]
async fn everybody_sees_and_does_what_they_may(pool: PgPool) {
    let (app, stage, cookie) = opened(pool).await;
    let (_, page) = get(&app, &cookie, "/jobs").await;
    for red in ["call of unknown outcome", "job failed within a day", "died within an hour", "account is parked"] {
        assert!(page.contains(red), "{red} {page}");
    }
    app.bench
        .execute(
            "update users set operator_role = 'read_only' where $1 <> id and operator_role is not null",
            Uuid::nil(),
        )
        .await;
    for path in
        ["/jobs".to_owned(), format!("/jobs/{}", stage.unknown), "/jobs/queues".to_owned(), "/jobs/parked".to_owned()]
    {
        let (status, page) = get(&app, &cookie, &path).await;
        let main = page.split_once("<main").unwrap().1;
        assert!(status == 200 && !main.contains("method=\"post\""), "{path} {main}");
    }
    let refused =
        post(&app, &cookie, "/jobs/selected", &[("action", "retry"), ("id", &stage.failed.to_string())]).await;
    assert_eq!(refused.status(), 403);
    // Of another tenant.
    let ada = cookie_of(&app, "ada@example.com").await;
    let own = own(&app, &ada, "/jobs").await;
    let (status, page) = get(&app, &ada, &own).await;
    assert!(status == 200 && page.contains("No jobs yet") && !page.contains("All quiet"), "{page}");
    let theirs = own.replacen("/jobs?", &format!("/jobs/{}?", stage.failed), 1);
    assert_eq!(get(&app, &ada, &theirs).await.0, 404);
    for operators in ["/jobs/queues", "/jobs/workers", "/jobs/periodic", "/tenants"] {
        assert_eq!(get(&app, &ada, &own.replacen("/jobs", operators, 1)).await.0, 403, "{operators}");
    }
}
