//! Tests of feeds: other people's posts, altered texts, and pages without cursors.

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{PAGE, World, error, error_of, jpeg, json_of, proof};
use url::Url;

#[tokio::test]
async fn somebody_elses_post_is_shown_and_not_counted() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.set("clock", json!({"set": "2026-01-02T03:04:05Z"})).await;
    world.photo(&token, "Pizza").await;
    let by_app = json!({
        "page_id": PAGE,
        "message": "Pizza",
        "offset_seconds": -60,
        "application": {"id": "42", "name": "Another app"},
        "picture": {"of_effect": 1},
    });
    let by_app = world.set("posts", by_app).await;
    let by_hand =
        json!({"page_id": PAGE, "message": "Pizza", "from": {"id": "7", "name": "Eve"}, "offset_seconds": 60});
    let by_hand = world.set("posts", by_hand).await;
    let shown = world.feed(&token, "id,message,created_time,from,application,attachments{target}").await;
    let ids: Vec<&Value> = shown.iter().map(|post| &post["id"]).collect();
    assert_eq!((ids[0], ids[2]), (&by_hand["post_id"], &by_app["post_id"]));
    assert_eq!((&shown[0]["from"]["name"], &shown[0]["application"]), (&json!("Eve"), &Value::Null));
    assert!(shown[0]["created_time"].as_str().unwrap().starts_with("2026-01-02T03:05:"));
    assert_eq!((&shown[2]["from"]["id"], &shown[2]["application"]["id"]), (&json!(PAGE), &json!("42")));
    let target = |at: usize| &shown[at]["attachments"]["data"][0]["target"]["id"];
    assert!(target(1).is_string() && target(2).is_string() && target(1) != target(2));
    assert_eq!(by_app["picture"], world.effects().await[0]["picture"]);
    assert_eq!((world.effects().await.len(), world.control("posts").await["items"].as_array().unwrap().len()), (1, 3));
}

#[tokio::test]
async fn a_planted_post_is_checked() {
    let world = World::start().await;
    let picture = STANDARD.encode(jpeg(8, 8));
    let planted = world.set("posts", json!({"page_id": PAGE, "picture": {"base64": picture}})).await;
    assert_eq!(planted["picture"]["width"], 8);
    let wrong = [
        json!({"page_id": "1", "message": "a"}),
        json!({"page_id": PAGE, "picture": {"of_effect": 9}}),
        json!({"page_id": PAGE, "picture": {"base64": "no"}}),
        json!({"page_id": PAGE, "author": "a"}),
    ];
    for body in wrong {
        assert_eq!(world.try_set("posts", body.clone()).await.status(), 400, "{body}");
    }
}

#[tokio::test]
async fn posts_are_hidden_and_deleted_by_hand() {
    let world = World::start().await;
    let token = world.page_token().await;
    let id = world.say(&token, "a").await;
    world.set("posts/hide", json!({"post_id": id})).await;
    assert_eq!(world.feed(&token, "id").await, Vec::<Value>::new());
    assert_eq!(error_of(world.get(&id, &token, &[]).await).await, error(400, 100, Some(33)));
    world.set("posts/hide", json!({"post_id": id, "hidden": false})).await;
    assert_eq!(world.feed(&token, "id").await.len(), 1);
    world.set("posts/delete", json!({"id": id})).await;
    assert_eq!(world.feed(&token, "id").await, Vec::<Value>::new());
    assert_eq!(world.effects().await[0]["deleted"], true);
    assert_eq!(world.try_set("posts/delete", json!({"id": id})).await.status(), 400);
}

#[tokio::test]
async fn texts_are_altered_when_they_are_read() {
    let world = World::start().await;
    let token = world.page_token().await;
    let sent = " Rag\u{f9}  tonight\nhttps://example.com/?utm_source=x&table=2 ";
    let id = world.say(&token, sent).await;
    let alterations = ["lf_to_crlf", "nfd", "collapse_spaces", "trim_ends", "strip_link_params"];
    world.set("switches", json!({"text_alterations": alterations})).await;
    let shown = "Ragu\u{300} tonight\r\nhttps://example.com/?table=2";
    assert_eq!(world.feed(&token, "message").await[0]["message"], shown);
    assert_eq!(json_of(world.get(&id, &token, &[]).await).await["message"], shown);
    assert_eq!(world.effects().await[0]["message"], sent);
    assert_eq!(world.try_set("switches", json!({"text_alterations": ["rot13"]})).await.status(), 400);
}

#[tokio::test]
async fn a_feed_without_cursors_is_walked_by_next_alone() {
    let world = World::start().await;
    world.set("clock", json!({"set": "2026-03-01T00:00:00Z"})).await;
    let token = world.page_token().await;
    for at in 0..6 {
        world.say(&token, &format!("post {at}")).await;
        world.set("clock", json!({"advance_seconds": if at % 2 == 0 { 0 } else { 3600 }})).await;
    }
    for (empty_middle_page, pages) in [(false, 2), (true, 3)] {
        world.set("switches", json!({"feed_paging": "next_only", "empty_middle_page": empty_middle_page})).await;
        let params = [("limit", "2"), ("fields", "message"), ("since", "2026-03-01T00:30:00+0000")];
        let mut page = json_of(world.get(&format!("{PAGE}/feed"), &token, &params).await).await;
        let (mut count, mut messages) = (1, Vec::new());
        loop {
            assert!(page["paging"]["cursors"].is_null());
            let texts = page["data"].as_array().unwrap().iter().map(|post| post["message"].clone());
            messages.extend(texts);
            let Some(next) = page["paging"]["next"].as_str() else { break };
            let next = Url::parse(next).unwrap();
            let names: Vec<String> = next.query_pairs().map(|(name, _)| name.into_owned()).collect();
            for name in ["access_token", "since", "until", "__paging_token", "limit", "fields"] {
                assert_eq!(names.iter().filter(|found| *found == name).count(), 1, "{name} in {next}");
            }
            page =
                json_of(world.http.get(next).query(&[("appsecret_proof", proof(&token))]).send().await.unwrap()).await;
            count += 1;
        }
        assert_eq!(messages, ["post 5", "post 4", "post 3", "post 2"]);
        assert_eq!(count, pages);
    }
}
