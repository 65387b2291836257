//! The checks of pages find what they are for: each finds a fault that is put there.

use sqlx::PgPool;
use tests::TestApp;

use super::{browser::Chromium, pages::faults};

#[sqlx::test(migrations = "../migrations")]
async fn a_page_with_a_fault_is_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    let complaints = [
        ("console.error('something is wrong')", "something is wrong"),
        ("setTimeout(() => { throw new Error('thrown') })", "thrown"),
        (
            "document.head.append(Object.assign(document.createElement('style'), { textContent: 'a {}' }))",
            "Content Security Policy",
        ),
        ("document.body.innerHTML = '<p>x</p>'", "TrustedHTML"),
    ];
    for (fault, expected) in complaints {
        tab.open(&format!("{}/sign-in", app.url)).await;
        assert_eq!(faults(&tab).await, Vec::<String>::new());
        let _ = tab.page.evaluate(format!("{{ {fault} }}; 1")).await;
        // What a browser complains of arrives by itself.
        tests::until(expected, std::time::Duration::from_secs(10), async || {
            tab.complaints().iter().any(|complaint| complaint.contains(expected)).then_some(())
        })
        .await;
    }
    for (fault, expected) in [
        ("document.querySelector('main').append(document.createElement('img'))", "image-alt"),
        ("document.querySelector('main').style.width = '3000px'", "sideways"),
    ] {
        tab.open(&format!("{}/sign-in", app.url)).await;
        tab.page.evaluate(format!("{{ {fault} }}; 1")).await.unwrap();
        let found = faults(&tab).await;
        assert!(found.iter().any(|found| found.contains(expected)), "{expected}: {found:?}");
    }
    assert_eq!(tab.dialogs(), 0);
    let _ = tab.page.evaluate("setTimeout(() => alert(1)); 1").await;
    tests::until("a dialog", std::time::Duration::from_secs(10), async || (tab.dialogs() == 1).then_some(())).await;
    chromium.close().await;
}
