//! Every page in both schemes and sizes: axe finds nothing, there is no error, and nothing is
//! beyond the edge.

use std::{fs, path::PathBuf};

use jobs::tenants::invitations;
use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, optional_setting, setting};

use super::{
    browser::{Chromium, Tab, cookie_of, operator_cookie_of, waiting_cookie_of},
    stage,
};

/// Pages for everybody. Links in mails lead to some; what they are for is checked by their buttons.
const OPEN: &[&str] = &[
    "/sign-in",
    "/sign-up",
    "/forgot-password",
    "/reset-password/code",
    "/verify-email/code",
    "/confirm-address/code",
];

/// Pages of people who are signed in: in a workspace in which nothing happened yet.
pub(crate) const SIGNED_IN: &[&str] = &[
    "/me",
    "/me/sign-in",
    "/me/second-factor",
    "/workspace",
    "/workspace/keys",
    "/jobs",
    "/search",
    "/search?q=nothing",
    "/keys",
    "/audit",
    "/ui-parts",
    "/nowhere",
];

/// Pages of operators.
pub(crate) const OPERATORS: &[&str] = &[
    "/jobs",
    "/jobs?state=cancelled&kind=noop",
    "/jobs?state=nope",
    "/jobs/matching?kind=publish_post&action=retry",
    "/jobs/queues",
    "/jobs/workers",
    "/jobs/periodic",
    "/jobs/parked",
    "/jobs/stats",
    "/jobs/stats?span=month&kind=noop",
    "/audit",
    "/tenants",
    "/operators",
    "/search?q=publish",
    "/search?q=x",
];

/// Pages that say that something cannot be shown.
pub(crate) const ERRORS: [&str; 2] = ["/nowhere", "/jobs?state=nope"];

const SIZES: [(i64, i64); 2] = [(1280, 900), (360, 740)];

fn name_of(path: &str, scheme: &str, width: i64) -> String {
    let name = path.trim_start_matches('/').replace(['/', '?', '&', '='], "-");
    format!("{name}-{scheme}-{width}.png")
}

/// Returns what is wrong with the page that a tab shows.
pub(crate) async fn faults(tab: &Tab) -> Vec<String> {
    let mut faults = tab.complaints();
    let sideways: i64 = tab.look("document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
    if sideways != 0 {
        faults.push(format!("it scrolls {sideways} px sideways"));
    }
    // The policy of the page does not apply to the scripts of the checker.
    tab.page.evaluate(fs::read_to_string(setting("LINECOOK_AXE")).unwrap()).await.unwrap();
    let found: Vec<String> = tab
        .look("axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html + ' ' + node.failureSummary)}`))")
        .await;
    tab.complaints();
    faults.extend(found);
    faults
}

/// Returns what is wrong with a page, under its name. Browsers complain of an error's status.
async fn faults_of(tab: &Tab, path: &str, what: &str) -> Vec<String> {
    let is_error = ERRORS.contains(&path);
    let faults = faults(tab).await.into_iter().filter(|fault| !(is_error && fault.contains("Failed to load resource")));
    faults.map(|fault| format!("{what}: {fault}")).collect()
}

/// Returns the address of an invitation.
async fn invitation(app: &TestApp) -> String {
    let path = format!("/api/v1/tenants/{}/invitations", app.bench.tenant_id);
    let (status, made) = app.post(&path, json!({ "email": "bo@example.com", "role": "member" })).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap().parse().unwrap();
    format!("/invitations/{}", app.bench.engine.services.signer.code(invitations::PURPOSE, id))
}

/// Returns the address at which accounts are connected.
async fn ticket(app: &TestApp) -> String {
    let path = format!("/api/v1/oauth/facebook/authorize?tenant_id={}", app.bench.tenant_id);
    let begun = app.get(&path).await;
    begun["url"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned()
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
    let staff = operator_cookie_of(&app, "ops@example.com").await;
    let waiting = waiting_cookie_of(&app, "ops@example.com").await;
    let stage = stage::fill(&app).await;
    let tenant = app.bench.tenant_id;
    let of_links = [
        ("sign-in-code", "/sign-in/code".to_owned()),
        ("invitation", invitation(&app).await),
        ("connect", ticket(&app).await),
    ];
    let of_one = [
        ("job-failed", format!("/jobs/{}", stage.failed)),
        ("job-unknown", format!("/jobs/{}", stage.unknown)),
        ("jobs-of-one", format!("/jobs?workspace={tenant}")),
        ("tenant", format!("/tenants/{tenant}")),
        ("own-keys", format!("/workspace/keys?workspace={tenant}")),
    ];
    let named = |path: &'static str| (path, path.to_owned());
    let groups = [
        (&waiting, OPEN.iter().copied().map(named).chain(of_links).collect::<Vec<_>>()),
        (&cookie, SIGNED_IN.iter().copied().map(named).collect()),
        (&staff, OPERATORS.iter().map(|path| (*path, (*path).to_owned())).chain(of_one).collect()),
    ];
    let mut found = Vec::new();
    for (cookie, paths) in groups {
        tab.sign_in(&app, cookie).await;
        for ((name, path), &(scheme, (width, height))) in
            paths.iter().flat_map(|path| combinations.iter().map(move |one| (path, one)))
        {
            tab.size(width, height).await;
            tab.scheme(scheme).await;
            tab.open(&format!("{}{path}", app.url)).await;
            if let Some(folder) = &pictures {
                let whose = if cookie == &staff { "operator-" } else { "" };
                tab.screenshot(&folder.join(format!("{whose}{}", name_of(name, scheme, width)))).await;
            }
            found.extend(faults_of(&tab, path, &format!("{path} {scheme} {width}")).await);
        }
    }
    chromium.close().await;
    assert_eq!(found, Vec::<String>::new());
}
