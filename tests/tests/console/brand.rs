//! The colour of a workspace on its pages.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, people::PASSWORD};

use super::{
    browser::{Chromium, cookie_of},
    pages::faults,
    visits::get,
};

#[sqlx::test(migrations = "../migrations")]
async fn a_workspaces_colour_is_shifted_until_it_can_be_read(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let ada = app.sign_in("ada@example.com", PASSWORD).await;
    let me = app.call(&ada, Method::GET, "auth/me", json!(null)).await.1;
    let tenant = me["current_tenant_id"].as_str().unwrap().to_owned();
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    for colour in ["#ffe000", "#101010"] {
        let chosen = json!({ "primary_color": colour });
        assert_eq!(app.call(&ada, Method::PATCH, &format!("tenants/{tenant}"), chosen).await.0, 200);
        for scheme in ["light", "dark"] {
            tab.scheme(scheme).await;
            tab.open(&format!("{}/workspace", app.url)).await;
            let sheets: i64 =
                tab.look("[...document.styleSheets].filter((one) => one.cssRules.length > 0).length").await;
            assert_eq!(sheets, 2, "the stylesheet of the workspace is there");
            assert_eq!(faults(&tab).await, Vec::<String>::new(), "{colour} {scheme}");
        }
    }
    let style = format!("/brand/{tenant}/101010.css");
    let (status, css) = get(&app, &cookie, &style).await;
    assert!(status == 200 && css.contains("light-dark(#101010, #"), "{css}");
    let bob = cookie_of(&app, "bob@example.com").await;
    assert_eq!(get(&app, &bob, &style).await.0, 404, "another's workspace");
    chromium.close().await;
}
