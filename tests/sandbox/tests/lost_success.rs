//! Tests of writes that succeeded although their response is an error, and of reads that fail.

mod support;

use serde_json::{Value, json};
use support::{PAGE, World, error, error_of, jpeg, json_of};

#[tokio::test]
async fn an_error_may_carry_the_result_of_the_write() {
    let world = World::start().await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/feed");
    let params = [("message", "a"), ("fields", "id,permalink_url")];
    let errors = [
        (400, 4, None),
        (400, 10, None),
        (400, 100, Some(33)),
        (400, 190, Some(463)),
        (403, 200, None),
        (503, 2, None),
    ];
    for (at, (status, code, subcode)) in errors.into_iter().enumerate() {
        let graph_error = json!({"code": code, "subcode": subcode, "original_response": true});
        world.set("faults", json!({"operation": "publish_feed", "status": status, "graph_error": graph_error})).await;
        let response = world.post(&path, &token, &params).await;
        assert_eq!(response.status().as_u16(), status);
        let answer = json_of(response).await;
        assert_eq!((&answer["error"]["code"], &answer["error"]["error_subcode"]), (&json!(code), &json!(subcode)));
        let effects = world.effects().await;
        assert_eq!(effects.len(), at + 1);
        assert_eq!(answer["error"]["original_response"], json!({"id": effects[at]["post_id"]}));
    }
}

#[tokio::test]
async fn the_result_of_a_picture_has_both_ids() {
    let world = World::start().await;
    let token = world.page_token().await;
    for operation in ["publish_photo", "stage_photo"] {
        world
            .set("faults", json!({"operation": operation, "graph_error": {"code": 1, "original_response": true}}))
            .await;
    }
    let answer = world.photo(&token, "a").await;
    let effect = world.effects().await[0].take();
    let expected = json!({"id": effect["photo_id"], "post_id": effect["post_id"]});
    assert_eq!(answer["error"]["original_response"], expected);
    let url = format!("{}/control/effects/1/picture", world.base_url);
    let staged = world.post(&format!("{PAGE}/photos"), &token, &[("url", &url), ("published", "false")]).await;
    let original = json_of(staged).await["error"]["original_response"].take();
    assert_eq!(original, json!({"id": world.control("photos").await["items"][1]["id"]}));
}

#[tokio::test]
async fn a_write_that_may_not_be_read_carries_its_result() {
    let world = World::start().await;
    world
        .set(
            "switches",
            json!({"publish_needs_read_scope": false, "granted_scopes": ["pages_show_list", "pages_manage_posts"]}),
        )
        .await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/feed");
    let asked = world.post(&path, &token, &[("message", "a"), ("fields", "permalink_url")]).await;
    assert_eq!(asked.status(), 400);
    let error = json_of(asked).await["error"].take();
    let effect = world.effects().await[0].take();
    assert_eq!((&error["code"], &error["original_response"]), (&json!(10), &json!({"id": effect["post_id"]})));
    assert_eq!(world.post(&path, &token, &[("message", "b")]).await.status(), 200);
}

#[tokio::test]
async fn a_write_that_fails_has_no_result_to_carry() {
    let world = World::start().await;
    let token = world.page_token().await;
    world
        .set("faults", json!({"operation": "publish_feed", "graph_error": {"code": 4, "original_response": true}}))
        .await;
    let refused = json_of(world.post(&format!("{PAGE}/feed"), &token, &[]).await).await;
    assert_eq!((&refused["error"]["code"], &refused["error"]["original_response"]), (&json!(100), &Value::Null));
    assert_eq!(world.effects().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_published_post_may_be_answered_by_a_bare_error() {
    let world = World::start().await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/feed");
    world.set("faults", json!({"operation": "publish_feed", "after_effect": true, "graph_error": {"code": 4}})).await;
    let answer = json_of(world.post(&path, &token, &[("message", "a")]).await).await;
    assert!(answer["error"]["original_response"].is_null());
    assert_eq!(world.effects().await.len(), 1);
    let html = json!({"operation": "publish_feed", "status": 502, "body": "<html>Bad gateway</html>"});
    world.set("faults", html).await;
    assert_eq!(world.post(&path, &token, &[("message", "b")]).await.status(), 502);
    assert_eq!(world.effects().await.len(), 1);
}

#[tokio::test]
async fn reads_fail_apart_from_writes() {
    let world = World::start().await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/feed");
    for (code, subcode) in [(190, Some(463)), (10, None), (4, None), (100, Some(33))] {
        world.set("faults", json!({"operation": "read_feed", "graph_error": {"code": code, "subcode": subcode}})).await;
        world.say(&token, "a").await;
        assert_eq!(error_of(world.get(&path, &token, &[]).await).await, error(400, code, subcode));
        assert_eq!(world.get(&path, &token, &[]).await.status(), 200);
    }
    world.set("faults", json!({"operation": "read_post", "status": 502, "body": "<html></html>"})).await;
    let id = world.say(&token, "a").await;
    assert_eq!(world.get(&id, &token, &[]).await.status(), 502);
    world.set("faults", json!({"operation": "read_feed", "drop": "before"})).await;
    let address = format!("{}/graph/v25.0/{path}", world.base_url);
    assert!(world.http.get(address).bearer_auth(&token).send().await.is_err());
}

#[tokio::test]
async fn a_feed_may_lag_behind() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.set("switches", json!({"feed_lag_seconds": 600})).await;
    let id = world.say(&token, "a").await;
    assert_eq!(world.feed(&token, "id").await, Vec::<Value>::new());
    assert_eq!(world.get(&id, &token, &[]).await.status(), 200);
    world.set("clock", json!({"advance_seconds": 601})).await;
    assert_eq!(world.feed(&token, "id").await, [json!({"id": id})]);
}

#[tokio::test]
async fn rate_limits_say_how_long_to_wait() {
    let world = World::start().await;
    let token = world.page_token().await;
    let path = format!("{PAGE}/feed");
    let usage = json!({"app_percent": 101, "regain_access_minutes": 7, "retry_after": "420"});
    for code in [4, 17, 32, 613, 80001] {
        world.set("faults", json!({"operation": "publish_feed", "graph_error": {"code": code}, "usage": usage})).await;
        let response = world.post(&path, &token, &[("message", "a")]).await;
        let headers = response.headers().clone();
        assert_eq!(error_of(response).await, error(400, code, None));
        let json = |name: &str| serde_json::from_str::<Value>(headers[name].to_str().unwrap()).unwrap();
        assert_eq!(headers["retry-after"], "420");
        assert_eq!(json("x-app-usage")["call_count"], 101);
        assert_eq!(json("x-business-use-case-usage")[PAGE][0]["estimated_time_to_regain_access"], 7);
    }
    world.set("faults", json!({"operation": "publish_feed", "usage": {"business_percent": 96}})).await;
    let response = world.post(&path, &token, &[("message", "a")]).await;
    assert!(response.headers()["x-business-use-case-usage"].to_str().unwrap().contains("96"));
    assert_eq!(response.status(), 200);
    world.set("switches", json!({"regain_access_minutes": 3, "retry_after": "60"})).await;
    let response = world.get(&path, &token, &[]).await;
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (200, &"60".parse().unwrap()));
}

#[tokio::test]
async fn the_shown_time_may_be_wrong() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.set("clock", json!({"set": "2026-01-02T03:04:05Z"})).await;
    world.set("clock", json!({"skew_seconds": -3600})).await;
    world.set("faults", json!({"operation": "read_me", "status": 502})).await;
    for path in ["me", "me", "nothing/at/all"] {
        let response = world.get(path, &token, &[]).await;
        assert!(response.headers()["date"].to_str().unwrap().starts_with("Fri, 02 Jan 2026 02:04:"), "{path}");
    }
    world.try_photo(&token, "a", jpeg(8, 8)).await.unwrap();
    let post = world.feed(&token, "created_time").await[0].take();
    assert!(post["created_time"].as_str().unwrap().starts_with("2026-01-02T02:04:"));
    assert_eq!(world.try_set("clock", json!({"set": "+200000-01-01T00:00:00Z"})).await.status(), 400);
    let clock = world.control("clock").await;
    assert!(clock["now"].as_str().unwrap().starts_with("2026-01-02T03:04:"));
}
