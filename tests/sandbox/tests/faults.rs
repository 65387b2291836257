//! Tests of the fault plan, dropped connections, and the control API.

mod support;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use support::{PAGE, World, error, error_of, jpeg, json_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_connection_dropped_before_the_effect_has_none() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.set("faults", json!({"operation": "publish_photo", "nth": 1, "drop": "before"})).await;
    assert!(world.try_photo(&token, "a", jpeg(8, 8)).await.is_err());
    assert_eq!(world.effects().await, Vec::<Value>::new());
    assert_eq!(world.try_photo(&token, "a", jpeg(8, 8)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_connection_dropped_after_the_effect_has_one() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.set("faults", json!({"operation": "publish_photo", "drop": "after"})).await;
    assert!(world.try_photo(&token, "a", jpeg(8, 8)).await.is_err());
    assert_eq!(world.effects().await.len(), 1);
    let calls = world.control("calls").await;
    let last = calls["recent"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["operation"], &last["status"]), (&json!("publish_photo"), &Value::Null));
}

#[tokio::test]
async fn a_dropped_connection_closes_without_a_byte() {
    let world = World::start().await;
    for drop in ["before", "after"] {
        world.set("faults", json!({"operation": "read_me", "drop": drop})).await;
        let address = world.base_url.trim_start_matches("http://").split('/').next().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /test-1/graph/v25.0/me HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut reply)).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)) && reply.is_empty(), "{drop}: {}", String::from_utf8_lossy(&reply));
    }
}

#[tokio::test]
async fn a_kept_connection_is_dropped_by_its_second_request_only() {
    let world = World::start().await;
    world.set("faults", json!({"operation": "read_me", "nth": 2, "drop": "after"})).await;
    let address = world.base_url.trim_start_matches("http://").split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /test-1/graph/v25.0/me HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = [0; 4096];
    let size = stream.read(&mut reply).await.unwrap();
    assert!(reply[..size].starts_with(b"HTTP/1.1 400"));
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(matches!(stream.read(&mut reply).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_fault_hits_the_nth_calls_of_its_operation() {
    let world = World::start().await;
    let token = world.page_token().await;
    let fault = json!({
        "operation": "publish_feed",
        "nth": 2,
        "times": 2,
        "graph_error": {"code": 4, "subcode": 2_207_051, "message": "Application request limit reached"},
    });
    world.set("faults", fault).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        world.get("me", &token, &[]).await;
        let response = world.post(&format!("{PAGE}/feed"), &token, &[("message", "a")]).await;
        statuses.push(response.status().as_u16());
        if statuses.len() == 2 {
            assert_eq!(error_of(response).await, error(400, 4, Some(2_207_051)));
        }
    }
    assert_eq!(statuses, [200, 400, 400, 200]);
    let planned = world.control("faults").await["items"][0].take();
    assert_eq!((&planned["seen"], &planned["hit"]), (&json!(4), &json!(2)));
    assert_eq!(world.control("calls").await["counts"]["publish_feed"], 4);
}

#[tokio::test]
async fn an_error_may_follow_the_effect() {
    let world = World::start().await;
    let token = world.page_token().await;
    let fault = json!({
        "operation": "publish_feed",
        "status": 502,
        "headers": {"retry-after": "7"},
        "body": "<html>Bad gateway</html>",
        "after_effect": true,
    });
    world.set("faults", fault).await;
    let response = world.post(&format!("{PAGE}/feed"), &token, &[("message", "a")]).await;
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (502, &"7".parse().unwrap()));
    assert_eq!(response.text().await.unwrap(), "<html>Bad gateway</html>");
    assert_eq!(world.effects().await.len(), 1);
}

#[tokio::test]
async fn a_truncated_body_breaks_off() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.set("faults", json!({"operation": "read_feed", "truncate_body": 5})).await;
    let response = world.get(&format!("{PAGE}/feed"), &token, &[]).await;
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err());
}

#[tokio::test]
async fn a_caller_that_left_does_not_stop_the_effect() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.set("faults", json!({"operation": "publish_photo", "delay_ms": 1500})).await;
    let impatient = tokio::time::timeout(Duration::from_millis(750), world.try_photo(&token, "a", jpeg(8, 8))).await;
    assert!(impatient.is_err());
    let deadline = Instant::now() + Duration::from_mins(1);
    while world.effects().await.is_empty() {
        assert!(Instant::now() < deadline, "the effect never came");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused() {
    let world = World::start().await;
    let wrong = [
        json!({"operation": "publish_feed"}),
        json!({"operation": "fly", "status": 500}),
        json!({"operation": "publish_feed", "nth": 0, "status": 500}),
        json!({"operation": "publish_feed", "status": 500, "drop": "after"}),
        json!({"operation": "publish_feed", "scenario": "refusal"}),
        json!({"operation": "publish_feed", "status": 500, "typo": 1}),
        json!({"operation": "publish_feed", "delay_ms": 1, "after_effect": true}),
    ];
    for fault in wrong {
        assert_eq!(world.try_set("faults", fault.clone()).await.status(), 400, "{fault}");
    }
    assert_eq!(world.control("faults").await, json!({"items": []}));
}

#[tokio::test]
async fn invalidated_tokens_fail_and_new_ones_work() {
    let world = World::start().await;
    let page = world.page_token().await;
    let user = world.user_token().await;
    world.set("tokens/invalidate", json!({"page_id": PAGE, "subcode": 467})).await;
    assert_eq!(error_of(world.get("me", &page, &[]).await).await, error(400, 190, Some(467)));
    assert_eq!(world.get("me", &user, &[]).await.status(), 200);
    let fresh = world.page_token().await;
    assert_ne!(fresh, page);
    assert_eq!(world.get("me", &fresh, &[]).await.status(), 200);
    world.set("tokens/invalidate", json!({"user_id": support::PERSON, "subcode": 460})).await;
    assert_eq!(error_of(world.get("me", &user, &[]).await).await, error(400, 190, Some(460)));
    let listed = world.control("tokens").await;
    assert!(!listed.to_string().contains("EAA"));
}

#[tokio::test]
async fn worlds_share_nothing_and_a_reset_empties_one() {
    let world = World::start().await;
    let other = world.other("test-2");
    let token = world.page_token().await;
    world.photo(&token, "a").await;
    assert_eq!(error_of(other.get("me", &token, &[]).await).await, error(400, 190, None));
    assert_eq!(other.effects().await, Vec::<Value>::new());
    world.set("reset", json!({})).await;
    assert_eq!(world.effects().await, Vec::<Value>::new());
    let bad = world.http.get(format!("{}/control/health", world.other("No_World").base_url)).send().await.unwrap();
    assert_eq!(bad.status(), 404);
}

#[tokio::test]
async fn what_was_called_is_told_without_secrets() {
    let world = World::start().await;
    let token = world.page_token().await;
    world.get("me", &token, &[("access_token", &token)]).await;
    let calls = world.control("calls").await;
    assert_eq!(calls["counts"]["exchange_code"], 1);
    let last = calls["recent"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["path"], &last["status"]), (&json!("/test-1/graph/v25.0/me"), &json!(200)));
    assert!(!calls.to_string().contains(&token));
}

#[tokio::test]
async fn switches_are_changed_one_by_one() {
    let world = World::start().await;
    let switches = world.set("switches", json!({"usage_percent": 96})).await;
    assert_eq!((&switches["usage_percent"], &switches["require_proof"]), (&json!(96), &json!(true)));
    assert_eq!(world.try_set("switches", json!({"require_prof": false})).await.status(), 400);
    assert_eq!(world.try_set("login", json!({"person_id": "1"})).await.status(), 400);
    let state = world.control("state").await;
    assert_eq!((&state["app_id"], &state["current"]), (&json!(support::APP_ID), &json!(support::PERSON)));
    let token = world.page_token().await;
    let response = world.call(Method::GET, &format!("{PAGE}/feed"), &token, &[]).await;
    assert!(response.headers()["x-business-use-case-usage"].to_str().unwrap().contains(PAGE));
    assert_eq!(json_of(response).await, json!({"data": []}));
}
