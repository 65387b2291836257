//! Tests by keyboard alone.

use sqlx::PgPool;
use tests::{TestApp, people::PASSWORD};

use super::browser::Chromium;

#[sqlx::test(migrations = "../migrations")]
async fn somebody_signs_in_chooses_colours_and_signs_out_by_keyboard(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.person("ada@example.com").await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.size(1280, 900).await;
    tab.open(&format!("{}/me", app.url)).await;
    tab.until("location.pathname === '/sign-in'").await;
    tab.tab_to("#email").await;
    tab.write("ada@example.com").await;
    tab.tab_to("#password").await;
    tab.write(PASSWORD).await;
    tab.press("Enter").await;
    tab.until("location.pathname === '/me' && document.readyState === 'complete'").await;

    tab.tab_to("[popovertarget=account]").await;
    tab.press("Enter").await;
    tab.until("document.querySelector('#account').matches(':popover-open')").await;
    tab.press("Escape").await;
    tab.until("document.activeElement.matches('[popovertarget=account]')").await;
    tab.press("Enter").await;
    tab.tab_to("#account [value=dark]").await;
    tab.press("Enter").await;
    tab.until("document.documentElement.dataset.theme === 'dark' && document.readyState === 'complete'").await;

    tab.tab_to("[popovertarget=account]").await;
    tab.press("?").await;
    tab.until("document.querySelector('#keys').open").await;
    tab.press("Escape").await;
    tab.until("!document.querySelector('#keys').open && document.activeElement.matches('[popovertarget=account]')")
        .await;

    tab.press("Enter").await;
    tab.tab_to("#account [action='/sign-out'] button").await;
    tab.press("Enter").await;
    tab.until("location.pathname === '/sign-in' && document.documentElement.dataset.theme === 'dark'").await;
    assert_eq!(tab.complaints(), Vec::<String>::new());
    chromium.close().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_form_is_sent_without_loading_the_page_and_keeps_the_focus(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = super::browser::cookie_of(&app, "ada@example.com").await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}/me", app.url)).await;
    tab.page.evaluate("window.isSame = true; document.querySelector('#first_name').value = ''").await.unwrap();
    tab.tab_to("#first_name").await;
    tab.write("Augusta").await;
    tab.press("Enter").await;
    tab.until("document.querySelector('#notices')?.textContent.includes('was changed')").await;
    let (is_same, focused): (bool, String) = tab.look("[window.isSame === true, document.activeElement.id]").await;
    assert!(is_same, "the page was not loaded anew");
    assert_eq!(focused, "first_name");
    assert_eq!(tab.look::<String>("document.querySelector('#first_name').value").await, "Augusta");
    assert_eq!(tab.complaints(), Vec::<String>::new());
    chromium.close().await;
}
