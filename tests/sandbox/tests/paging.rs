//! Tests of lists: fields, order, bounds, cursors and empty pages.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::{PAGE, World, error, error_of, json_of, proof};

fn person_with_pages(count: usize) -> Value {
    let page = |at: usize| json!({"id": format!("101582500000{at:05}"), "name": format!("Page {at}")});
    let pages: Vec<Value> = (1..=count).map(page).collect();
    json!({"people": [{"id": "10220000000000011", "name": "Ada", "pages": pages}]})
}

/// Follows `next` to the end, and returns the number of pages with all ids.
async fn walk(world: &World, first: Value, token: &str) -> (usize, Vec<String>) {
    let (mut count, mut ids, mut page) = (1, Vec::new(), first);
    loop {
        ids.extend(page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["paging"]["next"].as_str().map(str::to_owned) else {
            return (count, ids);
        };
        page = json_of(world.http.get(&next).query(&[("appsecret_proof", proof(token))]).send().await.unwrap()).await;
        count += 1;
    }
}

#[tokio::test]
async fn accounts_come_in_pages() {
    let world = World::start().await;
    world.set("people", person_with_pages(5)).await;
    let token = world.user_token().await;
    let first = json_of(world.get("me/accounts", &token, &[("limit", "2"), ("fields", "id,name")]).await).await;
    assert_eq!(first["data"][0], json!({"id": "10158250000000001", "name": "Page 1"}));
    let (count, ids) = walk(&world, first, &token).await;
    assert_eq!((count, ids.len()), (3, 5));
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn the_next_page_wants_its_proof() {
    let world = World::start().await;
    world.set("people", person_with_pages(2)).await;
    let token = world.user_token().await;
    let first = json_of(world.get("me/accounts", &token, &[("limit", "1")]).await).await;
    let next = world.http.get(first["paging"]["next"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(error_of(next).await, error(400, 100, None));
}

#[tokio::test]
async fn an_empty_page_in_the_middle_is_not_the_end() {
    let world = World::start().await;
    world.set("switches", json!({"empty_middle_page": true})).await;
    for total in [1, 4] {
        world.set("people", person_with_pages(total)).await;
        let token = world.user_token().await;
        let first = json_of(world.get("me/accounts", &token, &[]).await).await;
        assert_eq!(first["data"].as_array().unwrap().len(), total / 2);
        let (count, ids) = walk(&world, first, &token).await;
        assert_eq!((count, ids.len()), (3, total));
    }
}

#[tokio::test]
async fn a_page_may_come_without_its_token() {
    let world = World::start().await;
    world.set("switches", json!({"pages_without_token": [PAGE]})).await;
    let token = world.user_token().await;
    let pages = json_of(world.get("me/accounts", &token, &[("fields", "id,access_token")]).await).await;
    assert_eq!(pages["data"], json!([{"id": PAGE}]));
}

#[tokio::test]
async fn nested_and_unknown_fields_are_told_apart() {
    let world = World::start().await;
    let pages = json!([{"id": PAGE, "name": "A", "instagram": {"id": "17841400000000000", "username": "aurora"}}]);
    world.set("people", json!({"people": [{"id": "10220000000000011", "name": "Ada", "pages": pages}]})).await;
    let token = world.user_token().await;
    let fields = [("fields", "instagram_business_account{id,username},tasks")];
    let pages = json_of(world.get("me/accounts", &token, &fields).await).await;
    let expected = json!({"id": "17841400000000000", "username": "aurora"});
    assert_eq!(pages["data"][0]["instagram_business_account"], expected);
    let unknown = world.get("me/accounts", &token, &[("fields", "id,acess_token")]).await;
    assert_eq!(error_of(unknown).await, error(400, 100, None));
    for (name, value) in [("limit", "0"), ("after", "MQ")] {
        let wrong = world.get("me/accounts", &token, &[(name, value)]).await;
        assert_eq!(error_of(wrong).await, error(400, 100, None));
    }
}

#[tokio::test]
async fn a_feed_is_newest_first_and_within_its_bounds() {
    let world = World::start().await;
    world.set("clock", json!({"set": "2026-03-01T00:00:00Z"})).await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/feed");
    for at in 0..5 {
        let message = format!("post {at}");
        world.post(&path, &token, &[("message", &message)]).await;
        world.set("clock", json!({"advance_seconds": 3600})).await;
    }
    let first = json_of(world.get(&path, &token, &[("limit", "2"), ("fields", "id,message")]).await).await;
    assert_eq!(first["data"][0]["message"], "post 4");
    let (count, ids) = walk(&world, first, &token).await;
    assert_eq!((count, ids.len()), (3, 5));
    let bounds = [("since", "2026-03-01T00:30:00+0000"), ("until", "1772332200")];
    let some = json_of(world.get(&format!("{PAGE}/posts"), &token, &bounds).await).await;
    let messages: Vec<&Value> = some["data"].as_array().unwrap().iter().map(|post| &post["message"]).collect();
    assert_eq!(messages, ["post 2", "post 1"]);
}

#[tokio::test]
async fn a_feed_page_stays_in_place_while_posts_come_and_go() {
    let world = World::start().await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/published_posts");
    for at in 0..4 {
        world.post(&format!("{PAGE}/feed"), &token, &[("message", &format!("post {at}"))]).await;
    }
    let first = json_of(world.get(&path, &token, &[("limit", "2")]).await).await;
    let last = first["data"][1]["id"].as_str().unwrap();
    world.call(reqwest::Method::DELETE, last, &token, &[]).await;
    world.post(&format!("{PAGE}/feed"), &token, &[("message", "new")]).await;
    let after = first["paging"]["cursors"]["after"].as_str().unwrap();
    let second = json_of(world.get(&path, &token, &[("limit", "2"), ("after", after)]).await).await;
    assert_eq!(second["data"][0]["message"], "post 1");
    assert!(second["paging"]["next"].is_null());
}
