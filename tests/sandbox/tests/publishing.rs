//! Tests of publishing on Pages, and reading back.

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::{PAGE, World, error, error_of, jpeg, json_of, proof};

#[tokio::test]
async fn a_picture_is_received_checked_and_kept() {
    let world = World::start().await;
    let token = world.page_token().await;
    let answer = world.photo(&token, "Tonight: ragù").await;
    let post_id = answer["post_id"].as_str().unwrap();
    let (page, post) = post_id.split_once('_').unwrap();
    assert_eq!((page, post.len()), (PAGE, 17));
    let effects = world.effects().await;
    let effect = &effects[0];
    assert_eq!((&effect["operation"], &effect["message"]), (&json!("publish_photo"), &json!("Tonight: ragù")));
    assert_eq!(effect["post_id"], post_id);
    let picture = &effect["picture"];
    assert_eq!((&picture["width"], &picture["height"], &picture["format"]), (&json!(64), &json!(48), &json!("jpeg")));
    let kept = world.http.get(format!("{}/control/effects/1/picture", world.base_url)).send().await.unwrap();
    assert_eq!(kept.headers()["content-type"], "image/jpeg");
    assert_eq!(kept.bytes().await.unwrap(), jpeg(64, 48));
}

#[tokio::test]
async fn a_bad_or_missing_picture_has_no_effect() {
    let world = World::start().await;
    let token = world.page_token().await;
    let text = world.try_photo(&token, "a", b"<html></html>".to_vec()).await.unwrap();
    assert_eq!(error_of(text).await, error(400, 324, None));
    let whole = jpeg(640, 480);
    let half = world.try_photo(&token, "a", whole[..whole.len() / 4].to_vec()).await.unwrap();
    assert_eq!(error_of(half).await, error(400, 324, None));
    let none = world.post(&format!("{PAGE}/photos"), &token, &[("caption", "a")]).await;
    assert_eq!(error_of(none).await, error(400, 324, None));
    let mut large = jpeg(64, 48);
    large.resize(5 * 1024 * 1024, 0);
    let large = world.try_photo(&token, "a", large).await.unwrap();
    assert_eq!(error_of(large).await, error(400, 100, Some(1_366_046)));
    assert_eq!(world.effects().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_picture_can_be_fetched_from_an_address() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.photo(&token, "first").await;
    let url = format!("{}/control/effects/1/picture", world.base_url);
    let path = format!("{PAGE}/photos");
    let published = world.post(&path, &token, &[("url", &url), ("message", "second")]).await;
    assert_eq!(published.status(), 200);
    let effects = world.effects().await;
    assert_eq!(effects[0]["picture"], effects[1]["picture"]);
    let missing = world.post(&path, &token, &[("url", &format!("{url}-not"))]).await;
    assert_eq!(error_of(missing).await, error(400, 324, None));
}

#[tokio::test]
async fn an_unpublished_picture_has_no_post_and_is_not_in_the_feed() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.photo(&token, "seed").await;
    let url = format!("{}/control/effects/1/picture", world.base_url);
    let staged = world.post(&format!("{PAGE}/photos"), &token, &[("url", &url), ("published", "false")]).await;
    let staged = json_of(staged).await;
    assert!(staged["id"].is_string() && staged["post_id"].is_null());
    let feed = json_of(world.get(&format!("{PAGE}/feed"), &token, &[]).await).await;
    assert_eq!(feed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn two_equal_posts_are_two_posts_unless_the_check_is_on() {
    let world = World::start().await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/feed");
    let params = [("message", "Pizza night"), ("fields", "permalink_url,created_time")];
    let first = json_of(world.post(&path, &token, &params).await).await;
    let second = json_of(world.post(&path, &token, &params).await).await;
    assert_ne!(first["id"], second["id"]);
    assert!(first["permalink_url"].is_string() && first["created_time"].as_str().unwrap().ends_with("+0000"));
    world.set("switches", json!({"duplicate_check": true})).await;
    assert_eq!(error_of(world.post(&path, &token, &params).await).await, error(400, 506, None));
    assert_eq!(world.effects().await.len(), 2);
}

#[tokio::test]
async fn a_page_wants_its_own_token() {
    let world = World::start().await;
    let pages = json!([{"id": PAGE, "name": "A"}, {"id": "10158250000000202", "name": "B", "tasks": ["ANALYZE"]}]);
    world.set("people", json!({"people": [{"id": "10220000000000011", "name": "Ada", "pages": pages}]})).await;
    let user = world.user_token().await;
    let pages = json_of(world.get("me/accounts", &user, &[]).await).await;
    let token = |at: usize| pages["data"][at]["access_token"].as_str().unwrap().to_owned();
    let path = format!("{PAGE}/feed");
    let message = [("message", "a")];
    assert_eq!(error_of(world.post(&path, &user, &message).await).await, error(400, 210, None));
    assert_eq!(error_of(world.post(&path, &token(1), &message).await).await, error(400, 100, Some(33)));
    let other = "10158250000000202/feed";
    assert_eq!(error_of(world.post(other, &token(1), &message).await).await, error(403, 200, None));
    assert_eq!(world.post(&path, &token(0), &message).await.status(), 200);
}

#[tokio::test]
async fn a_post_is_checked_before_it_is_published() {
    let world = World::start().await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/feed");
    let long = "a".repeat(63_207);
    let wrong = [
        (vec![], None),
        (vec![("message", long.as_str())], None),
        (vec![("link", "example")], Some(2_061_006)),
        (vec![("link", "https://www.facebook.com/x")], Some(1_609_008)),
        (vec![("message", "a"), ("fields", "id,permalink")], None),
        (vec![("message", "a"), ("scheduled_publish_time", "1")], None),
    ];
    for (params, subcode) in wrong {
        assert_eq!(error_of(world.post(&path, &token, &params).await).await, error(400, 100, subcode), "{params:?}");
    }
    assert_eq!(world.effects().await, Vec::<Value>::new());
}

#[tokio::test]
async fn json_bodies_and_tokens_in_them_are_taken() {
    let world = World::start().await;
    let token = world.page_token().await;
    let body = json!({"message": "a", "published": true, "access_token": token, "appsecret_proof": proof(&token)});
    let address = format!("{}/graph/v25.0/me/feed", world.base_url);
    let response = world.http.post(&address).json(&body).send().await.unwrap();
    assert_eq!(response.headers()["facebook-api-version"], "v25.0");
    assert!(response.headers().contains_key("x-app-usage"));
    assert_eq!(response.status(), 200);
    let broken = world.http.post(&address).header("content-type", "application/json").body("{").send();
    assert_eq!(error_of(broken.await.unwrap()).await, error(400, 100, None));
}

#[tokio::test]
async fn a_post_is_read_and_taken_down() {
    let world = World::start().await;
    world.set("clock", json!({"set": "2026-01-02T03:04:05Z"})).await;
    let token = world.page_token().await;
    let published = world.photo(&token, "a").await;
    let id = published["post_id"].as_str().unwrap();
    let fields = [("fields", "id,message,created_time,permalink_url,full_picture")];
    let post = json_of(world.get(id, &token, &fields).await).await;
    assert!(post["created_time"].as_str().unwrap().starts_with("2026-01-02T03:04:0"));
    let picture = world.http.get(post["full_picture"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(picture.status(), 200);
    let deleted = json_of(world.call(Method::DELETE, id, &token, &[]).await).await;
    assert_eq!(deleted, json!({"success": true}));
    assert_eq!(error_of(world.get(id, &token, &[]).await).await, error(400, 100, Some(33)));
    assert_eq!(world.effects().await[0]["deleted"], true);
}

#[tokio::test]
async fn versions_and_paths_that_do_not_exist_are_refused() {
    let world = World::start().await;
    for path in ["v99.0/me", "v25/me", "v25.0/me/businesses"] {
        let response = world.http.get(format!("{}/graph/{path}", world.base_url)).send().await.unwrap();
        assert_eq!(error_of(response).await, error(400, 2500, None), "{path}");
    }
}
