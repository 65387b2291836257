//! Tests of Publer's keys, workspaces, jobs and limits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use support::World;

const KEY: &str = "publer-sandbox-key";
const WORKSPACE: &str = "600000000000000000000001";
const PINTEREST: &str = "630000000000000000000001";

fn request(world: &World, method: Method, path: &str) -> reqwest::RequestBuilder {
    let request = world.http.request(method, format!("{}/publer/{path}", world.base_url));
    request.header("authorization", format!("Bearer-API {KEY}")).header("publer-workspace-id", WORKSPACE)
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn get(world: &World, path: &str) -> (u16, Value) {
    answer(request(world, Method::GET, path)).await
}

fn post_at(time: &str, text: &str) -> Value {
    let account = json!({"id": PINTEREST, "scheduled_at": time});
    let networks = json!({"pinterest": {"type": "photo", "text": text}});
    json!({"bulk": {"state": "scheduled", "posts": [{"networks": networks, "accounts": [account]}]}})
}

async fn schedule(world: &World, body: &Value) -> (u16, Value) {
    answer(request(world, Method::POST, "posts/schedule").json(body)).await
}

#[tokio::test]
async fn a_key_has_its_own_scheme_and_opens_its_workspaces() {
    let world = World::start().await;
    let (status, workspaces) = get(&world, "workspaces").await;
    assert_eq!((status, &workspaces[0]["id"]), (200, &json!(WORKSPACE)));
    assert_eq!(get(&world, "accounts").await.1.as_array().unwrap().len(), 2);
    for authorization in [format!("Bearer {KEY}"), "Bearer-API wrong".to_owned(), String::new()] {
        let plain = world.http.get(format!("{}/publer/workspaces", world.base_url));
        let (status, body) = answer(plain.header("authorization", &authorization)).await;
        assert_eq!((status, body["errors"].is_array()), (401, true), "{authorization}");
    }
    for workspace in [None, Some("600000000000000000000009")] {
        let plain = world.http.get(format!("{}/publer/accounts", world.base_url));
        let plain = plain.header("authorization", format!("Bearer-API {KEY}"));
        let plain = workspace.into_iter().fold(plain, |plain, id| plain.header("publer-workspace-id", id));
        assert_eq!(answer(plain).await.0, 403, "{workspace:?}");
    }
    let key = json!({"key": KEY, "user_id": "5f0000000000000000000001", "scopes": ["workspaces"]});
    world.set("publer", json!({"keys": [key]})).await;
    assert_eq!((get(&world, "workspaces").await.0, get(&world, "accounts").await.0), (200, 403));
}

#[tokio::test]
async fn a_job_takes_its_time_and_tells_failures_in_a_good_reply() {
    let world = World::start().await;
    for is_wrapped in [false, true] {
        world.set("publer", json!({"wrapped_replies": is_wrapped, "job_lag_seconds": 5})).await;
        let time = if is_wrapped { "2030-01-01T10:00:00Z" } else { "2030-01-01T12:00:00+02:00" };
        let (_, body) = schedule(&world, &post_at(time, "Pizza")).await;
        let id = body["job_id"].as_str().or(body["data"]["job_id"].as_str()).unwrap().to_owned();
        let status = async || {
            let (status, body) = get(&world, &format!("job_status/{id}")).await;
            assert_eq!(status, 200);
            if is_wrapped { body["data"]["result"].clone() } else { body }
        };
        assert_eq!(status().await["status"], "working");
        world.set("clock", json!({"advance_seconds": 5})).await;
        let done = status().await;
        assert_eq!(done["status"], "complete");
        let gap = done["payload"]["failures"].to_string().contains("one minute gap");
        assert_eq!(gap, is_wrapped, "the second one has the time of the first: {done}");
    }
    let (_, listed) = get(&world, &format!("posts?state[]=scheduled&account_ids[]={PINTEREST}")).await;
    assert_eq!((&listed["total"], &listed["posts"][0]["text"]), (&json!(1), &json!("Pizza")));
    let id = listed["posts"][0]["id"].as_str().unwrap();
    let changed = request(&world, Method::PUT, &format!("posts/{id}")).json(&json!({"post": {"text": "Pasta"}}));
    assert_eq!(answer(changed).await.1["text"], "Pasta");
    let deleted = answer(request(&world, Method::DELETE, &format!("posts?post_ids[]={id}&post_ids[]=x"))).await;
    assert_eq!(deleted, (200, json!({"deleted_ids": [id]})));
    assert_eq!(get(&world, "posts?from=2030-01-01T00:00:00Z").await.0, 422, "from needs to");
    assert_eq!(schedule(&world, &json!({"bulk": {"state": "now", "posts": []}})).await.0, 422);
}

#[tokio::test]
async fn media_are_uploaded_or_imported_one_job_at_a_time() {
    let world = World::start().await;
    let form = Form::new().part("file", Part::bytes(vec![1, 2, 3]).file_name("pizza.jpg"));
    let (status, medium) = answer(request(&world, Method::POST, "media").multipart(form)).await;
    assert_eq!((status, medium["id"].as_str().unwrap().len()), (200, 24));
    world.set("publer", json!({"job_lag_seconds": 5})).await;
    let import = async || {
        let media =
            json!([{"url": "https://x.example/a.jpg", "name": "a"}, {"url": "file:///etc/passwd", "name": "b"}]);
        answer(request(&world, Method::POST, "media/from-url").json(&json!({"media": media, "type": "bulk"}))).await
    };
    let (status, job) = import().await;
    assert_eq!((status, import().await.0), (202, 403));
    world.set("clock", json!({"advance_seconds": 5})).await;
    let (_, done) = get(&world, &format!("job_status/{}", job["job_id"].as_str().unwrap())).await;
    assert!(done["payload"][0]["id"].is_string() && done["payload"][1]["error"].is_string(), "{done}");
    assert_eq!(get(&world, "media").await.0, 422, "its filters are required");
    assert_eq!(get(&world, "media?types[]=photo&used[]=false").await.1["total"], 2);
}

#[tokio::test]
async fn requests_are_counted_in_a_fixed_window_and_faults_can_be_planned() {
    let world = World::start().await;
    world.set("publer", json!({"requests_per_window": 2})).await;
    let first = request(&world, Method::GET, "users/me").send().await.unwrap();
    let of = |name: &str| first.headers()[name].to_str().unwrap().parse::<i64>().unwrap();
    assert_eq!((of("x-ratelimit-limit"), of("x-ratelimit-remaining")), (2, 1));
    assert!(of("x-ratelimit-reset") > 1_700_000_000);
    assert_eq!(get(&world, "accounts").await.0, 200);
    let over = request(&world, Method::GET, "accounts").send().await.unwrap();
    assert_eq!((over.status().as_u16(), over.headers().contains_key("retry-after")), (429, false));
    assert_eq!(over.json::<Value>().await.unwrap(), json!({"error": "Rate limit exceeded. Retry later."}));
    world.set("clock", json!({"advance_seconds": 120})).await;
    assert_eq!(get(&world, "accounts").await.0, 200);
    world.set("faults", json!({"operation": "publer_workspaces", "status": 502, "body": "<html>"})).await;
    assert_eq!(request(&world, Method::GET, "workspaces").send().await.unwrap().status(), 502);
    assert_eq!(world.control("calls").await["counts"]["publer_accounts"], 3);
}
