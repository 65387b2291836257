//! Tests of the login dialog, codes, tokens and proofs.

mod support;

use reqwest::Method;
use serde_json::json;
use support::{
    APP_ID, APP_SECRET, PAGE, PERSON, REDIRECT, SCOPES, World, error, error_of, json_of, location, query_of, token_in,
};

const DAY: i64 = 24 * 3600;

#[tokio::test]
async fn the_dialog_echoes_the_state_and_keeps_the_redirect_uri() {
    let world = World::start().await;
    let address = location(&world.dialog(&[]).await);
    assert_eq!(query_of(&address, "state").as_deref(), Some("st&te"));
    assert_eq!(query_of(&address, "from").as_deref(), Some("facebook"));
    assert_eq!(address.fragment(), Some("_=_"));
    assert!(query_of(&address, "code").is_some());
}

#[tokio::test]
async fn a_wrong_dialog_is_shown_and_never_redirected() {
    let world = World::start().await;
    let wrong = [
        ("client_id", "1"),
        ("redirect_uri", "/callback"),
        ("response_type", "token"),
        ("state", ""),
        ("scope", "pages_manage_read_engagement"),
        ("scope", "pages_show_list pages_manage_posts"),
    ];
    for change in wrong {
        assert_eq!(world.dialog(&[change]).await.status(), 400, "{change:?}");
    }
}

#[tokio::test]
async fn a_cancelled_dialog_has_no_code() {
    let world = World::start().await;
    world.set("switches", json!({"deny_login": true})).await;
    let address = location(&world.dialog(&[]).await);
    assert_eq!(query_of(&address, "error").as_deref(), Some("access_denied"));
    assert_eq!(query_of(&address, "error_description").as_deref(), Some("Permissions error"));
    assert!(address.query().unwrap().contains("error_description=Permissions+error"));
    assert_eq!(query_of(&address, "state").as_deref(), Some("st&te"));
    assert_eq!(query_of(&address, "code"), None);
}

#[tokio::test]
async fn a_code_works_once() {
    let world = World::start().await;
    let code = world.code().await;
    let first = world.exchange(&[("code", &code)]).await;
    assert_eq!(first.status(), 200);
    let second = world.exchange(&[("code", &code)]).await;
    assert!(second.headers()["www-authenticate"].to_str().unwrap().contains("invalid_code"));
    assert_eq!(error_of(second).await, error(400, 100, Some(36009)));
}

#[tokio::test]
async fn a_code_is_bound_to_its_redirect_uri_and_to_ten_minutes() {
    let world = World::start().await;
    let code = world.code().await;
    let other = world.exchange(&[("code", &code), ("redirect_uri", "https://app.example/callback")]).await;
    assert_eq!(error_of(other).await, error(400, 100, Some(36008)));
    world.set("clock", json!({"advance_seconds": 601})).await;
    let late = world.exchange(&[("code", &code)]).await;
    assert_eq!(error_of(late).await, error(400, 100, Some(36007)));
}

#[tokio::test]
async fn a_wrong_app_is_refused() {
    let world = World::start().await;
    let code = world.code().await;
    let secret = world.exchange(&[("code", &code), ("client_secret", "wrong")]).await;
    assert_eq!(error_of(secret).await, error(400, 1, None));
    let app = world.exchange(&[("code", &code), ("client_id", "42")]).await;
    assert_eq!(error_of(app).await, error(400, 101, None));
    assert_eq!(world.exchange(&[("code", &code)]).await.status(), 200);
}

#[tokio::test]
async fn a_code_is_exchanged_by_post_too() {
    let world = World::start().await;
    let code = world.code().await;
    let form = [("client_id", APP_ID), ("client_secret", APP_SECRET), ("redirect_uri", REDIRECT), ("code", &code)];
    let address = format!("{}/graph/oauth/access_token", world.base_url);
    let response = world.http.post(address).form(&form).send().await.unwrap();
    let answer = json_of(response).await;
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["expires_in"], 7200);
}

#[tokio::test]
async fn tokens_expire_with_the_clock_and_an_exchange_renews_them() {
    let world = World::start().await;
    let short = world.user_token().await;
    let long = json_of(world.long_token(&short).await).await;
    assert_eq!(long["expires_in"], 60 * DAY);
    let long = long["access_token"].as_str().unwrap();
    world.set("clock", json!({"advance_seconds": 59 * DAY})).await;
    let renewed = token_in(world.long_token(long).await).await;
    world.set("clock", json!({"advance_seconds": 2 * DAY})).await;
    let expired = world.get("me", long, &[]).await;
    let message = json_of(expired).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Session has expired on") && message.contains("The current time is"), "{message}");
    assert_eq!(error_of(world.get("me", long, &[]).await).await, error(400, 190, Some(463)));
    assert_eq!(error_of(world.long_token(long).await).await, error(400, 190, Some(463)));
    assert_eq!(json_of(world.get("me", &renewed, &[]).await).await["id"], PERSON);
}

#[tokio::test]
async fn a_page_token_outlives_a_long_user_token_but_not_a_short_one() {
    let world = World::start().await;
    let short = world.user_token().await;
    let pages = json_of(world.get("me/accounts", &short, &[]).await).await;
    let brief = pages["data"][0]["access_token"].as_str().unwrap().to_owned();
    let lasting = world.page_token().await;
    world.set("clock", json!({"advance_seconds": 61 * DAY})).await;
    assert_eq!(error_of(world.get("me", &brief, &[]).await).await, error(400, 190, Some(463)));
    assert_eq!(json_of(world.get("me", &lasting, &[]).await).await["id"], PAGE);
}

#[tokio::test]
async fn the_proof_is_required_and_checked() {
    let world = World::start().await;
    let token = world.user_token().await;
    let address = format!("{}/graph/v25.0/me", world.base_url);
    let bare = world.http.get(&address).query(&[("access_token", &token)]);
    assert_eq!(error_of(bare.try_clone().unwrap().send().await.unwrap()).await, error(400, 100, None));
    world.set("switches", json!({"require_proof": false})).await;
    assert_eq!(bare.try_clone().unwrap().send().await.unwrap().status(), 200);
    let wrong = bare.query(&[("appsecret_proof", "00")]).send().await.unwrap();
    assert_eq!(json_of(wrong).await["error"]["type"], "GraphMethodException");
}

#[tokio::test]
async fn tokens_that_nobody_minted_are_malformed() {
    let world = World::start().await;
    assert_eq!(error_of(world.get("me", "EAAnobody", &[]).await).await, error(400, 190, None));
    let none = world.http.get(format!("{}/graph/me", world.base_url)).send().await.unwrap();
    assert_eq!(error_of(none).await, error(400, 2500, None));
}

#[tokio::test]
async fn a_partial_grant_shows_and_a_declined_permission_needs_a_rerequest() {
    let world = World::start().await;
    world.set("switches", json!({"granted_scopes": ["pages_show_list"]})).await;
    let token = world.user_token().await;
    let permissions = json_of(world.get("me/permissions", &token, &[]).await).await;
    assert!(permissions["data"].as_array().unwrap().contains(&json!({
        "permission": "pages_manage_posts",
        "status": "declined"
    })));
    world.set("switches", json!({"granted_scopes": null})).await;
    let page = world.page_token().await;
    let path = format!("{PAGE}/feed");
    assert_eq!(error_of(world.post(&path, &page, &[("message", "a")]).await).await, error(403, 200, None));
    world.dialog(&[("auth_type", "rerequest")]).await;
    assert_eq!(world.post(&path, &page, &[("message", "a")]).await.status(), 200);
}

#[tokio::test]
async fn debug_token_tells_what_a_token_is_worth() {
    let world = World::start().await;
    let page = world.page_token().await;
    let app = format!("{APP_ID}|{APP_SECRET}");
    let address = format!("{}/graph/v25.0/debug_token", world.base_url);
    let ask = || world.http.get(&address).query(&[("input_token", &page), ("access_token", &app)]).send();
    let data = json_of(ask().await.unwrap()).await["data"].take();
    assert_eq!((&data["type"], &data["profile_id"], &data["expires_at"]), (&json!("PAGE"), &json!(PAGE), &json!(0)));
    assert_eq!(data["scopes"].as_array().unwrap().len(), SCOPES.split(',').count() + 1);
    world.set("tokens/invalidate", json!({"page_id": PAGE, "subcode": 460})).await;
    let dead = ask().await.unwrap();
    assert_eq!(dead.status(), 200);
    let data = json_of(dead).await["data"].take();
    assert_eq!((&data["is_valid"], &data["error"]["subcode"]), (&json!(false), &json!(460)));
    let wrong = world.http.get(&address).query(&[("input_token", page.as_str()), ("access_token", "1|2")]);
    assert_eq!(error_of(wrong.send().await.unwrap()).await, error(400, 190, None));
}

#[tokio::test]
async fn a_removed_app_ends_all_tokens_of_the_person() {
    let world = World::start().await;
    let page = world.page_token().await;
    let user = world.user_token().await;
    let removed = world.call(Method::DELETE, "me/permissions", &user, &[]).await;
    assert_eq!(json_of(removed).await, json!({"success": true}));
    for token in [&user, &page] {
        assert_eq!(error_of(world.get("me", token, &[]).await).await, error(400, 190, Some(458)));
    }
}
