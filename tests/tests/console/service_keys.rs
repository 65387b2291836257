//! A workspace's own keys are entered, replaced and removed without JavaScript.

use jobs::service_keys::{Service, store};
use sqlx::PgPool;
use tests::{TestApp, people::PASSWORD};

use super::browser::{Chromium, Tab, cookie_of};

async fn told(tab: &Tab, words: &str) {
    tab.until(&format!("document.body.textContent.includes('{words}')")).await;
}

async fn enter(tab: &Tab, field: &str, key: &str) {
    tab.tab_to(field).await;
    tab.write(key).await;
    tab.press("Enter").await;
}

#[sqlx::test(migrations = "../migrations")]
async fn keys_are_entered_replaced_and_removed_by_keyboard(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let ada = app.sign_in("ada@example.com", PASSWORD).await;
    let me = app.call(&ada, reqwest::Method::GET, "auth/me", serde_json::Value::Null).await.1;
    let tenant_id = jobs::ids::TenantId(me["current_tenant_id"].as_str().unwrap().parse().unwrap());
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.without_scripts().await;
    tab.sign_in(&app, &cookie).await;
    tab.open(&format!("{}/workspace/keys", app.url)).await;

    enter(&tab, "#openai-key", "sk-bad").await;
    told(&tab, "The key was not stored").await;
    enter(&tab, "#openai-key", "sk-own-0123456789").await;
    tab.until("document.querySelector('#openai-title').parentElement.textContent.includes('In use')").await;
    assert!(tab.look::<bool>("document.querySelector('main').textContent.includes('••••6789')").await);
    assert!(!tab.look::<bool>("document.documentElement.innerHTML.includes('sk-own-0123456789')").await);
    enter(&tab, "#publer-key", "publer-sandbox-key").await;
    tab.until("document.querySelector('main').textContent.includes('Trattoria Aurora')").await;

    tab.tab_to("form[action*='openai/remove'] button").await;
    tab.press("Enter").await;
    tab.until("!document.querySelector('main').textContent.includes('••••6789')").await;
    let mut tx = app.bench.engine.db.tenant(tenant_id).await.unwrap();
    assert!(store::get(&mut tx, tenant_id, Service::Openai).await.unwrap().is_none());
    let publer = store::get(&mut tx, tenant_id, Service::Publer).await.unwrap().unwrap();
    assert_eq!(publer.workspace_id.as_deref(), Some("600000000000000000000001"));
    let complaints = tab.complaints();
    assert!(complaints.iter().all(|one| one.contains("Failed to load resource")), "{complaints:?}");
    chromium.close().await;
}
