//! Tests of the drive that rotates refresh tokens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::World;

async fn grant(world: &World, life_seconds: i32) -> Value {
    world.set("grants", json!({"count": 1, "life_seconds": life_seconds})).await["items"][0].clone()
}

async fn refresh(world: &World, refresh_token: &Value) -> (u16, Value) {
    let form = [
        ("client_id", "drive-sandbox-app"),
        ("client_secret", "drive-sandbox-secret"),
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.as_str().unwrap()),
    ];
    let response = world.http.post(format!("{}/drive/token", world.base_url)).form(&form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn me(world: &World, access_token: &Value) -> (u16, Value) {
    let request = world.http.get(format!("{}/drive/me", world.base_url)).bearer_auth(access_token.as_str().unwrap());
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_refresh_returns_the_next_tokens() {
    let world = World::start().await;
    let first = grant(&world, -1).await;
    assert_eq!(me(&world, &first["access_token"]).await.0, 401, "it ended");
    let (status, next) = refresh(&world, &first["refresh_token"]).await;
    assert_eq!((status, &next["expires_in"]), (200, &json!(3600)));
    assert_eq!(me(&world, &next["access_token"]).await, (200, json!({"id": first["subject"]})));
    assert_eq!(refresh(&world, &next["refresh_token"]).await.0, 200);
    assert_eq!(world.control("grants").await["items"][0]["refreshes"], 2);
}

#[tokio::test]
async fn a_used_refresh_token_ends_the_grant() {
    let world = World::start().await;
    let first = grant(&world, 60).await;
    let (_, next) = refresh(&world, &first["refresh_token"]).await;
    let refused = (400, json!({"error": "invalid_grant"}));
    assert_eq!(refresh(&world, &first["refresh_token"]).await, refused);
    assert_eq!(refresh(&world, &next["refresh_token"]).await, refused, "nor does the valid one work any more");
    assert_eq!(me(&world, &next["access_token"]).await.0, 401);
    assert_eq!(refresh(&world, &json!("unknown")).await, refused);
    let calls = world.control("calls").await;
    assert_eq!((&calls["counts"]["drive_token"], &calls["most_at_once"]["drive_token"]), (&json!(4), &json!(1)));
}
