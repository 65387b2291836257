//! Tests of one Page that several people connect, each with different permissions.

mod support;

use serde_json::{Value, json};
use support::{PAGE, PERSON, World, error, error_of, jpeg, json_of};

const OTHER_PERSON: &str = "10220000000000022";

/// Creates a world in which two people have a role on the Page.
async fn shared() -> World {
    let world = World::start().await;
    let page = json!([{"id": PAGE, "name": "Trattoria Aurora"}]);
    let people = json!([
        {"id": PERSON, "name": "Ada", "pages": page},
        {"id": OTHER_PERSON, "name": "Bob", "pages": page},
    ]);
    world.set("people", json!({"people": people})).await;
    world
}

#[tokio::test]
async fn each_login_gets_a_token_of_its_own_for_the_same_page() {
    let world = shared().await;
    let ada = world.page_token().await;
    world.set("login", json!({"person_id": OTHER_PERSON})).await;
    let bob = world.page_token().await;
    assert_ne!(ada, bob);
    for token in [&ada, &bob] {
        let me = json_of(world.get("me", token, &[]).await).await;
        assert_eq!(me["id"], PAGE);
        world.say(token, "Pizza").await;
    }
    world.set("tokens/invalidate", json!({"user_id": OTHER_PERSON, "subcode": 460})).await;
    assert_eq!(error_of(world.get("me", &bob, &[]).await).await, error(400, 190, Some(460)));
    assert_eq!(world.feed(&ada, "id").await.len(), 2);
}

#[tokio::test]
async fn the_same_content_is_counted_for_each_page() {
    let world = shared().await;
    let ada = world.page_token().await;
    world.set("login", json!({"person_id": OTHER_PERSON})).await;
    let bob = world.page_token().await;
    world.try_photo(&ada, "Pizza", jpeg(64, 48)).await.unwrap();
    let staged = world.stage(&bob, jpeg(64, 48)).await;
    let attached = json!([{"media_fbid": staged}]).to_string();
    let params = [("message", "Pizza"), ("attached_media", attached.as_str())];
    assert_eq!(world.post(&format!("{PAGE}/feed"), &bob, &params).await.status(), 200);
    world.try_photo(&bob, "Pizza", jpeg(32, 48)).await.unwrap();
    world.say(&ada, "Pizza").await;
    world.set("posts", json!({"page_id": PAGE, "message": "Pizza"})).await;

    let published = world.control("published").await;
    let items = published["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    let twice: Vec<&Value> = items.iter().filter(|item| item["count"] == 2).collect();
    assert_eq!(twice.len(), 1);
    let posts = twice[0]["posts"].as_array().unwrap();
    assert_eq!((&posts[0]["user_id"], &posts[1]["user_id"]), (&json!(PERSON), &json!(OTHER_PERSON)));
    assert_eq!(posts[0]["app_id"], support::APP_ID);
    let tokens = world.control("tokens").await;
    let token = tokens["items"].as_array().unwrap().iter().find(|token| token["id"] == posts[1]["token_id"]).unwrap();
    assert_eq!((&token["user_id"], &token["page_id"]), (&json!(OTHER_PERSON), &json!(PAGE)));
}

#[tokio::test]
async fn each_login_ticks_its_own_permissions() {
    let world = shared().await;
    let scopes = ["pages_show_list", "pages_manage_posts"];
    world.set("login", json!({"person_id": PERSON, "granted_scopes": scopes})).await;
    let ada = world.page_token().await;
    world.set("login", json!({"person_id": OTHER_PERSON})).await;
    let bob = world.page_token().await;
    let path = format!("{PAGE}/feed");
    assert_eq!(error_of(world.get(&path, &ada, &[]).await).await, error(400, 10, None));
    assert_eq!(error_of(world.post(&path, &ada, &[("message", "a")]).await).await, error(403, 200, None));
    world.set("switches", json!({"publish_needs_read_scope": false})).await;
    assert_eq!(world.post(&path, &ada, &[("message", "a")]).await.status(), 200);
    assert_eq!(world.get(&path, &bob, &[]).await.status(), 200);

    let change = json!({"person_id": OTHER_PERSON, "permission": "pages_manage_posts", "granted": false});
    world.set("permissions", change).await;
    assert_eq!(error_of(world.post(&path, &bob, &[("message", "a")]).await).await, error(403, 200, None));
    let stranger = json!({"person_id": "1", "permission": "pages_manage_posts", "granted": true});
    assert_eq!(world.try_set("permissions", stranger).await.status(), 400);
    let user = world.user_token().await;
    let permissions = json_of(world.get("me/permissions", &user, &[]).await).await;
    let declined = json!({"permission": "pages_manage_posts", "status": "declined"});
    assert!(permissions["data"].as_array().unwrap().contains(&declined), "{permissions}");
}

#[tokio::test]
async fn a_fault_may_be_for_one_page_or_one_text_only() {
    let world = shared().await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/feed");
    world.set("faults", json!({"operation": "publish_feed", "page_id": "1", "status": 500})).await;
    world
        .set("faults", json!({"operation": "publish_feed", "page_id": PAGE, "containing": "ragù & co", "status": 500}))
        .await;
    let mut statuses = Vec::new();
    for message in ["pizza", "our ragù & co!", "our ragù & co!"] {
        statuses.push(world.post(&path, &token, &[("message", message)]).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 500, 200]);
    world.set("faults", json!({"operation": "publish_photo", "containing": "ragù", "status": 500})).await;
    assert_eq!(world.try_photo(&token, "ragù", jpeg(8, 8)).await.unwrap().status(), 500);
    world.set("faults", json!({"operation": "publish_feed", "containing": "fields=", "status": 500})).await;
    assert_eq!(world.post(&path, &token, &[("message", "a")]).await.status(), 200);
    assert_eq!(world.post(&path, &token, &[("message", "a"), ("fields", "id")]).await.status(), 500);
}
