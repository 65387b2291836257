//! Tests of the login dialog as a page, which a person clicks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use reqwest::Response;
use serde_json::{Value, json};
use support::{APP_ID, PAGE, PERSON, REDIRECT, SCOPES, World, error, error_of, json_of, location, query_of, token_in};

const BAR: &str = "10158250000000102";
const BAR_INSTAGRAM: &str = "17841400000000102";

async fn world() -> World {
    let world = World::start().await;
    let bar = json!({ "id": BAR, "name": "Bar <Aurora>", "instagram": { "id": BAR_INSTAGRAM, "username": "bar" } });
    let people = json!({ "people": [
        { "id": PERSON, "name": "Ada Rossi", "pages": [{ "id": PAGE, "name": "Trattoria Aurora" }, bar] },
        { "id": "7", "name": "Eve" },
    ] });
    world.set("people", people).await;
    world
}

fn address(world: &World) -> String {
    let query = [
        ("client_id", APP_ID),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("state", "s"),
        ("scope", SCOPES),
    ];
    let address = format!("{}/facebook/v25.0/dialog/oauth", world.base_url);
    url::Url::parse_with_params(&address, query).unwrap().into()
}

/// Sends the form of the page.
async fn send(world: &World, form: &[(&str, &str)]) -> Response {
    world.http.post(address(world)).form(form).send().await.unwrap()
}

/// The form with everything ticked.
fn all() -> Vec<(&'static str, &'static str)> {
    vec![
        ("person", PERSON),
        ("page.10158250000000101", "on"),
        ("page.10158250000000102", "on"),
        ("instagram.17841400000000102", "on"),
        ("scope.pages_show_list", "on"),
        ("scope.pages_read_engagement", "on"),
        ("scope.pages_manage_posts", "on"),
        ("decision", "allow"),
    ]
}

/// Logs in with everything ticked but some fields. Returns the Pages that the app sees.
async fn pages_without(world: &World, unticked: &[&str]) -> (String, Value) {
    let mut form = all();
    form.retain(|(name, _)| !unticked.contains(name));
    let code = query_of(&location(&send(world, &form).await), "code").unwrap();
    let token = token_in(world.exchange(&[("code", &code)]).await).await;
    let fields = [("fields", "id,access_token,instagram_business_account,connected_instagram_account")];
    let pages = json_of(world.get("me/accounts", &token, &fields).await).await["data"].take();
    (token, pages)
}

#[tokio::test]
async fn a_browser_sees_a_page_and_a_program_an_answer() {
    let world = world().await;
    let shown = world.http.get(address(&world)).header("accept", "text/html,*/*").send().await.unwrap();
    assert_eq!(shown.status(), 200);
    let page = shown.text().await.unwrap();
    for part in ["Ada Rossi", "Eve", "Trattoria Aurora", "pages_manage_posts", "value=\"deny\""] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<Aurora>"), "{page}");
    assert_eq!(world.http.get(address(&world)).send().await.unwrap().status(), 302);
    world.set("switches", json!({ "dialog_page": true })).await;
    assert_eq!(world.http.get(address(&world)).send().await.unwrap().status(), 200);
    assert_eq!(world.control("secrets").await["codes"].as_array().unwrap().len(), 1, "the page gives no code");
}

#[tokio::test]
async fn what_is_unticked_is_not_shared() {
    let world = world().await;
    let (_, pages) = pages_without(&world, &[]).await;
    assert_eq!(pages.as_array().unwrap().len(), 2);
    assert_eq!(pages[1]["instagram_business_account"]["id"], BAR_INSTAGRAM);
    let (_, pages) = pages_without(&world, &["page.10158250000000101"]).await;
    assert_eq!((pages.as_array().unwrap().len(), &pages[0]["id"]), (1, &json!(BAR)));
    let (_, pages) = pages_without(&world, &["page.10158250000000102"]).await;
    assert_eq!(pages[1]["id"], BAR, "its Instagram account is shared");
    assert!(pages[1]["access_token"].is_null() && pages[0]["access_token"].is_string(), "{pages}");
    let (token, _) = pages_without(&world, &["scope.pages_manage_posts"]).await;
    let permissions = json_of(world.get("me/permissions", &token, &[]).await).await;
    let declined = json!({ "permission": "pages_manage_posts", "status": "declined" });
    assert!(permissions["data"].as_array().unwrap().contains(&declined), "{permissions}");
}

#[tokio::test]
async fn a_person_cancels_or_is_another_one() {
    let world = world().await;
    let denied = location(&send(&world, &[("person", PERSON), ("decision", "deny")]).await);
    assert_eq!(query_of(&denied, "error").as_deref(), Some("access_denied"));
    let mut form = all();
    form[0].1 = "7";
    let code = query_of(&location(&send(&world, &form).await), "code").unwrap();
    let token = token_in(world.exchange(&[("code", &code)]).await).await;
    assert_eq!(json_of(world.get("me", &token, &[]).await).await["id"], "7");
    assert_eq!(send(&world, &[("person", "8"), ("decision", "allow")]).await.status(), 400);
}

#[tokio::test]
async fn an_account_that_is_not_business_is_connected_and_no_business_account() {
    let world = world().await;
    let instagram = json!({ "id": "1", "username": "private", "is_business": false });
    let page = json!({ "id": PAGE, "name": "Trattoria Aurora", "instagram": instagram });
    world.set("people", json!({ "people": [{ "id": PERSON, "name": "Ada Rossi", "pages": [page] }] })).await;
    let (_, pages) = pages_without(&world, &[]).await;
    assert_eq!(pages[0]["connected_instagram_account"]["id"], "1");
    assert!(pages[0]["instagram_business_account"].is_null());
}

#[tokio::test]
async fn a_page_is_subscribed_with_its_own_token_and_the_permission() {
    let world = world().await;
    let form = [all(), vec![("scope.pages_manage_metadata", "on")]].concat();
    let fields = [("subscribed_fields", "feed,mention")];
    let path = format!("{PAGE}/subscribed_apps");
    let page = world.page_token().await;
    assert_eq!(error_of(world.post(&path, &page, &fields).await).await, error(403, 200, None));
    let with_metadata = address(&world).replace("pages_show_list", "pages_manage_metadata%2Cpages_show_list");
    world.http.post(with_metadata).form(&form).send().await.unwrap();
    assert_eq!(world.post(&path, &page, &[("subscribed_fields", "comments")]).await.status(), 400);
    assert_eq!(json_of(world.post(&path, &page, &fields).await).await, json!({ "success": true }));
    assert_eq!(world.control("subscriptions").await[PAGE], json!(["feed", "mention"]));
}
