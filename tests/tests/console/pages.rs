//! Every page in both schemes and sizes: axe finds nothing, there is no error, and nothing is
//! beyond the edge.

use std::{fs, path::PathBuf};

use serde_json::Value;
use sqlx::PgPool;
use tests::{TestApp, optional_setting, setting};

use super::browser::{Chromium, Tab, cookie_of};

/// Pages for everybody, and pages for people who are signed in. The last one is the page for an
/// unknown address.
pub(crate) const OPEN: [&str; 3] = ["/sign-in", "/sign-up", "/forgot-password"];
pub(crate) const SIGNED_IN: [&str; 4] = ["/me", "/workspace", "/ui-parts", "/nowhere"];

const SIZES: [(i64, i64); 2] = [(1280, 900), (360, 740)];

fn name_of(path: &str, scheme: &str, width: i64) -> String {
    format!("{}-{scheme}-{width}.png", path.trim_start_matches('/').replace('/', "-"))
}

/// Checks the page in a tab.
async fn check(tab: &Tab, what: &str) {
    let sideways: i64 = tab.look("document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
    assert_eq!(sideways, 0, "{what}: it scrolls sideways");
    let complaints = tab.complaints();
    assert!(
        complaints.iter().all(|complaint| complaint.contains("404") && what.contains("/nowhere")),
        "{what}: {complaints:?}"
    );
    // The policy of the page does not apply to the scripts of the checker.
    tab.page.evaluate(fs::read_to_string(setting("LINECOOK_AXE")).unwrap()).await.unwrap();
    let found: Value = tab
        .look("axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.map((one) => [one.id, one.nodes.map((node) => node.html + ' ' + node.failureSummary)]))")
        .await;
    assert_eq!(found, Value::Array(Vec::new()), "{what}");
    tab.complaints();
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_can_be_used_by_everybody_in_both_schemes_and_sizes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = cookie_of(&app, "ada@example.com").await;
    let chromium = Chromium::start().await;
    let tab = chromium.tab().await;
    let is_long = optional_setting("LINECOOK_LONG").is_some();
    let pictures = optional_setting("LINECOOK_SCREENS").map(PathBuf::from);
    let mut combinations = vec![("light", SIZES[0]), ("dark", SIZES[1])];
    if is_long || pictures.is_some() {
        combinations = ["light", "dark"].into_iter().flat_map(|scheme| SIZES.map(|size| (scheme, size))).collect();
    }
    for path in OPEN.into_iter().chain(SIGNED_IN) {
        if SIGNED_IN.contains(&path) {
            tab.sign_in(&app, &cookie).await;
        }
        for &(scheme, (width, height)) in &combinations {
            tab.size(width, height).await;
            tab.scheme(scheme).await;
            tab.open(&format!("{}{path}", app.url)).await;
            if let Some(folder) = &pictures {
                tab.screenshot(&folder.join(name_of(path, scheme, width))).await;
            }
            check(&tab, &format!("{path} {scheme} {width}")).await;
        }
    }
    chromium.close().await;
}
