//! Tests of staged pictures, and of the pictures that posts show.

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::{PAGE, World, error, error_of, jpeg, json_of, proof};

fn attached(ids: &[&str]) -> Vec<(String, String)> {
    let param = |(at, id): (usize, &&str)| (format!("attached_media[{at}]"), json!({"media_fbid": id}).to_string());
    ids.iter().enumerate().map(param).collect()
}

async fn publish(world: &World, token: &str, message: &str, ids: &[&str]) -> reqwest::Response {
    let attached = attached(ids);
    let mut params: Vec<(&str, &str)> = vec![("message", message)];
    params.extend(attached.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    world.post(&format!("{PAGE}/feed"), token, &params).await
}

#[tokio::test]
async fn a_staged_picture_is_an_orphan_until_a_post_takes_it() {
    let world = World::start().await;
    let token = world.page_token().await;
    let id = world.stage(&token, jpeg(64, 48)).await;
    assert_eq!((world.effects().await.len(), world.feed(&token, "id").await.len()), (0, 0));
    let photos = world.control("photos").await;
    assert_eq!((&photos["orphans"], &photos["items"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(world.control("calls").await["counts"]["stage_photo"], 1);
    let staged = json_of(world.get(&id, &token, &[("fields", "id,page_story_id")]).await).await;
    assert_eq!(staged, json!({"id": id}));

    let published = json_of(publish(&world, &token, "Ragù", &[&id]).await).await;
    let post_id = published["id"].as_str().unwrap();
    assert_eq!(published, json!({"id": post_id}));
    assert_eq!(world.control("photos").await["orphans"], 0);
    let effect = world.effects().await[0].take();
    assert_eq!((&effect["photo_ids"], &effect["message"]), (&json!([id]), &json!("Ragù")));
    assert_eq!((&effect["picture"]["width"], &effect["operation"]), (&json!(64), &json!("publish_feed")));
    let photo = json_of(world.get(&id, &token, &[("fields", "id,page_story_id")]).await).await;
    assert_eq!(photo, json!({"id": id, "page_story_id": post_id}));
    let feed = world.feed(&token, "id,attachments{media,target,subattachments}").await;
    assert_eq!(feed[0]["attachments"]["data"][0]["target"]["id"], id);
}

#[tokio::test]
async fn a_staged_picture_is_used_once() {
    let world = World::start().await;
    let token = world.page_token().await;
    let id = world.stage(&token, jpeg(64, 48)).await;
    let twice = publish(&world, &token, "a", &[&id, &id]).await;
    assert_eq!(error_of(twice).await, error(400, 100, Some(1_366_051)));
    assert_eq!(publish(&world, &token, "a", &[&id]).await.status(), 200);
    let again = publish(&world, &token, "a", &[&id]).await;
    assert_eq!(error_of(again).await, error(400, 100, Some(1_366_051)));
    let published = world.photo(&token, "b").await;
    let again = publish(&world, &token, "a", &[published["id"].as_str().unwrap()]).await;
    assert_eq!(error_of(again).await, error(400, 100, Some(1_366_051)));
    assert_eq!(world.effects().await.len(), 2);
}

#[tokio::test]
async fn a_staged_picture_belongs_to_its_page_and_can_be_deleted() {
    let world = World::start().await;
    let pages = json!([{"id": PAGE, "name": "A"}, {"id": "10158250000000202", "name": "B"}]);
    world.set("people", json!({"people": [{"id": "10220000000000011", "name": "Ada", "pages": pages}]})).await;
    let user = world.user_token().await;
    let pages = json_of(world.get("me/accounts", &user, &[]).await).await;
    let token = |at: usize| pages["data"][at]["access_token"].as_str().unwrap().to_owned();
    let id = world.stage(&token(0), jpeg(64, 48)).await;
    let attached = attached(&[&id]);
    let params = [("message", "a"), (attached[0].0.as_str(), attached[0].1.as_str())];
    let other = world.post("10158250000000202/feed", &token(1), &params).await;
    assert_eq!(error_of(other).await, error(400, 100, None));
    assert_eq!(error_of(world.get(&id, &token(1), &[]).await).await, error(400, 100, Some(33)));
    let deleted = json_of(world.call(Method::DELETE, &id, &token(0), &[]).await).await;
    assert_eq!(deleted, json!({"success": true}));
    assert_eq!(world.control("photos").await["orphans"], 0);
    assert_eq!(error_of(publish(&world, &token(0), "a", &[&id]).await).await, error(400, 100, None));
    assert_eq!(world.effects().await, Vec::<Value>::new());
}

#[tokio::test]
async fn attached_pictures_are_taken_in_json_too() {
    let world = World::start().await;
    let token = world.page_token().await;
    let (first, second) = (world.stage(&token, jpeg(8, 8)).await, world.stage(&token, jpeg(16, 8)).await);
    let address = format!("{}/graph/v25.0/{PAGE}/feed", world.base_url);
    let body = |media: Value| json!({"message": "a", "attached_media": media, "access_token": token, "appsecret_proof": proof(&token)});
    for wrong in [json!("1"), json!([1]), json!({"media_fbid": "1"}), json!([{"media_fbid": null}]), json!([{}])] {
        let response = world.http.post(&address).json(&body(wrong.clone())).send().await.unwrap();
        assert_eq!(error_of(response).await, error(400, 100, None), "{wrong}");
    }
    let media = json!([{"media_fbid": first}, {"media_fbid": second.parse::<u64>().unwrap()}]);
    let published = world.http.post(&address).json(&body(media)).send().await.unwrap();
    assert_eq!(published.status(), 200);
    let post = world.feed(&token, "attachments{media_type,subattachments{target,type}}").await[0].take();
    let album = &post["attachments"]["data"][0];
    assert_eq!(album["media_type"], "album");
    let ids: Vec<&Value> =
        album["subattachments"]["data"].as_array().unwrap().iter().map(|part| &part["target"]["id"]).collect();
    assert_eq!(ids, [&json!(first), &json!(second)]);
    world.call(Method::DELETE, &first, &token, &[]).await;
    let post = world.feed(&token, "attachments{media_type,target}").await[0].take();
    assert_eq!(post["attachments"]["data"][0]["target"]["id"], second);
}

#[tokio::test]
async fn a_link_does_not_go_with_pictures() {
    let world = World::start().await;
    let token = world.page_token().await;
    let id = world.stage(&token, jpeg(8, 8)).await;
    let attached = attached(&[&id]);
    let params = [("link", "https://example.com"), (attached[0].0.as_str(), attached[0].1.as_str())];
    let refused = world.post(&format!("{PAGE}/feed"), &token, &params).await;
    assert_eq!(error_of(refused).await, error(400, 100, None));
    assert_eq!(world.control("photos").await["orphans"], 1);
}

#[tokio::test]
async fn a_published_picture_may_be_answered_without_its_post() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.set("switches", json!({"omit_post_id": true})).await;
    let published = world.photo(&token, "a").await;
    let id = published["id"].as_str().unwrap();
    assert_eq!(published, json!({"id": id}));
    let photo = json_of(world.get(id, &token, &[("fields", "page_story_id,name")]).await).await;
    let effect = world.effects().await[0].take();
    assert_eq!(photo, json!({"id": id, "name": "a", "page_story_id": effect["post_id"]}));
}

#[tokio::test]
async fn a_post_shows_author_app_and_attachments_unless_they_are_hidden() {
    let world = World::start().await;
    let token = world.page_token().await;
    let photo_id = world.photo(&token, "a").await["id"].take();
    let fields = "id,message,created_time,permalink_url,from{id,name},application{id,name},attachments{target,media}";
    let post = world.feed(&token, fields).await[0].take();
    assert_eq!(post["from"], json!({"id": PAGE, "name": "Trattoria Aurora"}));
    assert_eq!(post["application"], json!({"id": support::APP_ID, "name": "Sandbox"}));
    let attachment = &post["attachments"]["data"][0];
    assert_eq!((&attachment["target"]["id"], attachment.as_object().unwrap().len()), (&photo_id, 2));
    let picture = world.http.get(attachment["media"]["image"]["src"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(picture.bytes().await.unwrap(), jpeg(64, 48));
    let by_id = json_of(world.get(post["id"].as_str().unwrap(), &token, &[("fields", fields)]).await).await;
    assert_eq!(by_id, post);

    world.set("switches", json!({"hidden_fields": ["attachment_targets"]})).await;
    let post = world.feed(&token, fields).await[0].take();
    let attachment = &post["attachments"]["data"][0];
    assert!(attachment["target"].is_null() && attachment["media"].is_object());
    world.set("switches", json!({"hidden_fields": ["application", "from", "attachments"]})).await;
    let post = world.feed(&token, fields).await[0].take();
    assert!(post["application"].is_null() && post["from"].is_null() && post["attachments"].is_null());
    let unknown = world.get(&format!("{PAGE}/feed"), &token, &[("fields", "attachments{targets}")]).await;
    assert_eq!(error_of(unknown).await, error(400, 100, None));
}
