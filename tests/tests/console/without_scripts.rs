//! Forms without JavaScript.

use sqlx::PgPool;
use tests::TestApp;

use super::browser::{Chromium, cookie_of};

#[sqlx::test(migrations = "../migrations")]
async fn forms_work_without_javascript(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.without_scripts().await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}/workspace", app.url)).await;
    tab.tab_to("#tone").await;
    tab.write("warm").await;
    tab.press("Enter").await;
    tab.until("document.querySelector('#notices')?.textContent.includes('was saved')").await;
    assert_eq!(tab.look::<String>("document.querySelector('#tone').value").await, "warm");
    assert!(tab.look::<bool>("location.search.startsWith('?workspace=')").await);
    chromium.close().await;
}
