//! The operators' page: inviting, roles, removal, and who sees its buttons.

use sqlx::PgPool;
use tests::TestApp;
use uuid::Uuid;

use super::{
    browser::{Chromium, cookie_of, operator_cookie_of},
    visits::{get, own, post},
};

const OPERATOR: &str = "ops@example.com";
const INVITED: &str = "new@example.com";

async fn role_of(app: &TestApp, email: &str) -> Option<String> {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let sql = "select operator_role from users where email_canonical = $1";
    sqlx::query_scalar(sql).bind(email).fetch_one(&mut *tx).await.unwrap()
}

async fn page_of(app: &TestApp, email: &str) -> String {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let sql = "select id from users where email_canonical = $1";
    let id: Uuid = sqlx::query_scalar(sql).bind(email).fetch_one(&mut *tx).await.unwrap();
    format!("/operators/{id}")
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_is_invited_gets_a_role_and_is_removed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, OPERATOR).await;
    let invite = async |email: &str| {
        let answer =
            post(&app, &cookie, "/operators", &[("email", email), ("name", "Bo"), ("role", "read_only")]).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, shown) = invite("bo").await;
    assert_eq!(status, 422);
    assert!(shown.contains("value=\"bo\"") && shown.contains("Enter an address such as"), "{shown}");
    assert_eq!(invite(INVITED).await.0, 303);
    let (_, list) = get(&app, &cookie, "/operators").await;
    for words in [OPERATOR, ">you<", INVITED, "Has not chosen a password yet", "Read-only"] {
        assert!(list.contains(words), "{words} {list}");
    }
    let (status, shown) = invite(INVITED).await;
    assert!(status == 409 && shown.contains("They are an operator already"), "{shown}");

    let page = page_of(&app, INVITED).await;
    assert_eq!(post(&app, &cookie, &page, &[("change", "full")]).await.status(), 303);
    assert_eq!(role_of(&app, INVITED).await.as_deref(), Some("full"));
    assert_eq!(post(&app, &cookie, &page, &[("change", "owner")]).await.status(), 404);
    assert_eq!(post(&app, &cookie, &page, &[("change", "remove")]).await.status(), 303);
    assert_eq!(role_of(&app, INVITED).await, None);
    assert_eq!(post(&app, &cookie, &page, &[("change", "remove")]).await.status(), 404, "somebody was faster");
    let own_page = page_of(&app, OPERATOR).await;
    let kept = post(&app, &cookie, &own_page, &[("change", "read_only")]).await;
    assert_eq!(kept.status(), 303);
    assert_eq!(role_of(&app, OPERATOR).await.as_deref(), Some("full"), "the last one stays");
    app.bench.drain().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn those_who_may_only_read_see_no_buttons_and_tenants_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, OPERATOR).await;
    app.bench
        .execute(
            "update users set operator_role = 'read_only' where $1 <> id and operator_role is not null",
            Uuid::nil(),
        )
        .await;
    let (status, page) = get(&app, &cookie, "/operators").await;
    let main = page.split_once("<main").unwrap().1;
    assert!(status == 200 && main.contains(OPERATOR) && !main.contains("method=\"post\""), "{main}");
    let form = [("email", INVITED), ("name", "Bo"), ("role", "full")];
    assert_eq!(post(&app, &cookie, "/operators", &form).await.status(), 403);
    let ada = cookie_of(&app, "ada@example.com").await;
    let jobs = own(&app, &ada, "/jobs").await;
    let (_, page) = get(&app, &ada, &jobs).await;
    assert!(page.contains("Audit log") && !page.contains("/operators"), "{page}");
    assert_eq!(get(&app, &ada, &jobs.replacen("/jobs", "/operators", 1)).await.0, 403);
    assert_eq!(post(&app, &ada, "/operators", &form).await.status(), 403);
    assert_eq!(post(&app, &ada, &page_of(&app, OPERATOR).await, &[("change", "remove")]).await.status(), 403);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_is_removed_after_a_second_look_by_keyboard(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, OPERATOR).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.without_scripts().await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}/operators", app.url)).await;
    tab.tab_to("#email").await;
    tab.write(INVITED).await;
    tab.tab_to("#name").await;
    tab.write("Bo").await;
    tab.press("Enter").await;
    tab.until("document.querySelector('#notices').textContent.includes('gets a mail')").await;
    assert!(!tab.look::<bool>("document.querySelector('[value=remove]').checkVisibility()").await);
    tab.tab_to(&format!("summary[aria-label='Change {INVITED}']")).await;
    tab.press("Enter").await;
    tab.tab_to("[value=remove]").await;
    tab.press("Enter").await;
    tab.until("document.querySelector('#notices').textContent.includes('no operator any more')").await;
    assert_eq!(role_of(&app, INVITED).await, None);
    app.bench.drain().await;
    chromium.close().await;
}
