//! The page of a workspace's accounts: their state, refreshing, and links for clients.

use sqlx::PgPool;
use tests::TestApp;

use super::{
    browser::{cookie_of, operator_cookie_of},
    visits::{get, own, post},
};

const OPERATOR: &str = "ops@example.com";

async fn unfinished_refreshes(app: &TestApp) -> i64 {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let sql = "select count(*) from jobs where kind = 'refresh_token'";
    sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap()
}

/// Returns the address in the page that begins with `path`.
fn address_in(page: &str, path: &str) -> String {
    let (_, rest) = page.split_once(&format!("\"{path}")).unwrap_or_else(|| panic!("{path} {page}"));
    format!("{path}{}", rest.split_once('"').unwrap().0.replace("&#38;", "&").replace("&amp;", "&"))
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_shows_its_state_and_what_to_do(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, OPERATOR).await;
    let address = format!("/accounts?workspace={}", app.bench.tenant_id);
    let (status, page) = get(&app, &cookie, &address).await;
    assert_eq!(status, 200, "{page}");
    for words in ["Nothing is connected yet", "Connect Facebook", "/accounts/connect/facebook?"] {
        assert!(page.contains(words), "{words} {page}");
    }
    let account = app.bench.connect_page().await;
    app.bench.drain().await;
    let (_, page) = get(&app, &cookie, &address).await;
    assert!(page.contains(">Connected<") || page.contains("Connected</span>"), "{page}");
    assert!(page.contains(&format!("account={account}")) && !page.contains("Posts wait"), "{page}");

    let refresh = address_in(&page, &format!("/accounts/{account}/refresh"));
    assert_eq!(post(&app, &cookie, &refresh, &[]).await.status(), 303);
    assert_eq!(post(&app, &cookie, &refresh, &[]).await.status(), 303);
    assert_eq!(unfinished_refreshes(&app).await, 1, "a refresh that waits is used");
    app.bench.drain().await;

    let lost = "update social_accounts set status = 'needs_reauth', status_reason = 'Ada left.' where id = $1";
    app.bench.execute(lost, account.0).await;
    let (_, page) = get(&app, &cookie, &address).await;
    assert!(page.contains("To be connected again") && page.contains("Ada left. Posts wait until"), "{page}");
    assert!(!page.contains("/refresh"), "only the person can help");
    let leave = address_in(&page, &format!("/accounts/{account}/disconnect"));
    assert_eq!(post(&app, &cookie, &leave, &[("waiting", "cancel")]).await.status(), 303);
    assert_eq!(post(&app, &cookie, &leave, &[("waiting", "nonsense")]).await.status(), 400);
    app.bench.drain().await;
    let (_, page) = get(&app, &cookie, &address).await;
    assert!(page.contains("Nothing goes out there") && !page.contains("/disconnect"), "{page}");
    assert!(page.contains(&format!("account={account}")), "it can be connected again");
    assert_eq!(post(&app, &cookie, &refresh, &[]).await.status(), 409);
    let nowhere = format!("/accounts/{}/refresh?workspace={}", app.bench.tenant_id, app.bench.tenant_id);
    assert_eq!(post(&app, &cookie, &nowhere, &[]).await.status(), 404);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_for_a_client_is_shown_once_and_revoked(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = cookie_of(&app, "ada@example.com").await;
    let address = own(&app, &ada, "/accounts").await;
    let links = address.replacen("/accounts", "/accounts/links", 1);
    let made = post(&app, &ada, &links, &[("provider", "facebook")]).await;
    assert_eq!(made.status(), 200);
    let made = made.text().await.unwrap();
    let link = address_in(&made, &format!("{}/connect/link/", app.url));
    let (_, page) = get(&app, &ada, &address).await;
    let secret = link.rsplit_once('/').unwrap().1;
    assert!(page.contains("Not used yet") && !page.contains(secret), "{page}");
    let open = async || app.anonymous(reqwest::Method::GET, &format!("/connect/link/{secret}")).send().await.unwrap();
    assert_eq!(open().await.status(), 200);

    let revoke = address_in(&page, "/accounts/links/");
    assert_eq!(post(&app, &ada, &revoke, &[]).await.status(), 303);
    let (_, page) = get(&app, &ada, &address).await;
    assert!(page.contains("Revoked") && !page.contains("/accounts/links/"), "{page}");
    assert_ne!(open().await.status(), 200);
    assert_eq!(post(&app, &ada, &links, &[("provider", "myspace")]).await.status(), 404);
}

#[sqlx::test(migrations = "../migrations")]
async fn those_who_may_only_read_see_no_buttons(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, OPERATOR).await;
    let account = app.bench.connect_page().await;
    let read_only = "update users set operator_role = 'read_only' where $1 <> id and operator_role is not null";
    app.bench.execute(read_only, uuid::Uuid::nil()).await;
    let at = |path: &str| format!("{path}?workspace={}", app.bench.tenant_id);
    let (status, page) = get(&app, &cookie, &at("/accounts")).await;
    let main = page.split_once("<main").unwrap().1;
    assert!(status == 200 && main.contains("Details") && !main.contains("method=\"post\""), "{main}");
    assert!(!main.contains("/accounts/connect/") && !main.contains("Links for clients"), "{main}");
    for path in [
        format!("/accounts/{account}/refresh"),
        format!("/accounts/{account}/disconnect"),
        "/accounts/links".to_owned(),
    ] {
        assert_eq!(post(&app, &cookie, &at(&path), &[("provider", "facebook")]).await.status(), 403, "{path}");
    }
    let ada = cookie_of(&app, "ada@example.com").await;
    assert_ne!(get(&app, &ada, &at("/accounts")).await.0, 200, "it is somebody else's workspace");
}
