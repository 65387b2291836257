//! Tests of request bodies: the permission, the size limits and the time limits.

use std::time::Duration;

use admin::HttpConfig;
use jobs::tenants::permissions::Permissions;
use reqwest::{Method, multipart};
use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, answer, unlimited};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use uuid::Uuid;

use super::assert_problem;

/// Sends the beginning of a request and returns the response until the connection ends.
async fn say(app: &TestApp, words: &str) -> String {
    let mut stream = TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(words.as_bytes()).await.unwrap();
    let (mut read, mut buffer) = (String::new(), [0; 4096]);
    // The JSON of a problem ends with a brace.
    while !read.ends_with('}') {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            count => read.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    read
}

#[sqlx::test(migrations = "../migrations")]
async fn who_may_not_is_refused_before_a_body_is_read(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/folders/{}/assets", Uuid::now_v7());
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n");
    let unread = say(&app, &format!("{head}Content-Length: 20000000\r\n\r\n")).await;
    assert!(unread.starts_with("HTTP/1.1 401") && unread.contains("\"unauthorized\""), "{unread}");

    let mut tx = app.bench.engine.db.system().await.unwrap();
    let reads = Permissions::named(vec!["jobs:write".to_owned(), "assets:read".to_owned()]).unwrap();
    let (_, key) = jobs::tenants::keys::insert(&mut tx, app.bench.tenant_id, "reads", None, &reads).await.unwrap();
    tx.commit().await.unwrap();
    let unread = say(&app, &format!("{head}Authorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
    assert!(unread.starts_with("HTTP/1.1 403") && unread.contains("assets:write"), "{unread}");

    // A client that sends the whole body all the same can read the refusal.
    for _ in 0..5 {
        let part = multipart::Part::bytes(vec![0xff; 15 * 1024 * 1024]).file_name("x.jpg");
        let form = multipart::Form::new().part("file", part);
        let (status, body) = answer(app.anonymous(Method::POST, &path).multipart(form)).await;
        assert_problem(status, &body, 401, "unauthorized");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn too_large_a_body_is_refused_as_it_arrives(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
        app.key
    );
    let unread = say(&app, &format!("{head}Content-Length: 262145\r\n\r\n")).await;
    assert!(unread.starts_with("HTTP/1.1 413") && unread.contains("262144"), "{unread}");
    // The body has no content length and never ends.
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024));
    let unread = say(&app, &format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(5))).await;
    assert!(unread.starts_with("HTTP/1.1 413") && unread.contains("too_large"), "{unread}");
    // An open address accepts less.
    let open = format!("POST /connect/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(2));
    let unread = say(&app, &open).await;
    assert!(unread.starts_with("HTTP/1.1 413") && unread.contains("65536"), "{unread}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_body_that_does_not_arrive_is_not_waited_for(pool: PgPool) {
    let http = HttpConfig { body_time: Duration::from_millis(200), ..unlimited() };
    let app = TestApp::with_http(pool, http).await;
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
        app.key
    );
    let answered = say(&app, &format!("{head}Content-Length: 100\r\n\r\n{{\"tenant_id\":")).await;
    assert!(answered.starts_with("HTTP/1.1 408") && answered.contains("too_slow"), "{answered}");
    assert!(answered.contains("application/problem+json"), "{answered}");
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {} });
    assert_eq!(app.post("/api/v1/jobs", body).await.0, 202);
}
