//! Stored scripts appear as text on every page.

use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, people::PASSWORD};

use super::browser::{Chromium, cookie_of};

/// Ways to run a script that was stored as a text.
pub(crate) const PAYLOADS: [&str; 30] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "\" onfocus=alert(1) autofocus=\"",
    "' onfocus=alert(1) autofocus='",
    "\" onmouseover=alert(1) x=\"",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "javascript:alert(1)",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<math><mtext><script>alert(1)</script></mtext></math>",
    "<object data=javascript:alert(1)>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<form action=javascript:alert(1)><button autofocus>x</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "{{ 7 * 7 }}<script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
];

#[sqlx::test(migrations = "../migrations")]
async fn a_stored_script_is_a_word(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let ada = app.sign_in("ada@example.com", PASSWORD).await;
    let me = app.call(&ada, reqwest::Method::GET, "auth/me", json!(null)).await.1;
    let tenant = me["current_tenant_id"].as_str().unwrap().to_owned();
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    tab.sign_in(&app, &cookie).await;
    for payload in PAYLOADS {
        let names = json!({ "first_name": payload, "last_name": payload });
        assert_eq!(app.call(&ada, reqwest::Method::PATCH, "auth/me", names).await.0, 200, "{payload}");
        let settings = json!({ "name": payload, "company_name": payload, "description": payload, "tone": payload });
        let path = format!("tenants/{tenant}");
        assert_eq!(app.call(&ada, reqwest::Method::PATCH, &path, settings).await.0, 200, "{payload}");
        for page in ["/me", "/workspace"] {
            tab.open(&format!("{}{page}", app.url)).await;
            let shown: bool =
                tab.look(&format!("document.querySelector('.opener .cut').textContent.includes({payload:?})")).await;
            assert!(shown, "{page} {payload}");
            assert_eq!(
                tab.look::<i64>("document.querySelectorAll('main script, main img, main iframe, main object').length")
                    .await,
                0
            );
            assert_eq!(tab.complaints(), Vec::<String>::new(), "{page} {payload}");
        }
    }
    assert_eq!(tab.dialogs(), 0);
    chromium.close().await;
}
