//! Tests of expensive requests of strangers: connections, bodies and pictures that cost more than
//! they should. Meanwhile the memory of the API's process stays below a limit, and its health check
//! responds at once.
//!
//! `scripts/test` does each a little; `--long` does all at once in full against a release build.

mod attack;
mod process;

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tests::TestApp;

use self::{attack::Target, process::Watched};

/// The memory that the process may take.
const LIMIT_KIB: u64 = 512 * 1024;

/// The memory that checking passwords may add, for the kept buffers and 50 connections.
const SIGN_INS_LIMIT_KIB: u64 = 104 * 1024;

async fn target(app: &TestApp, url: &str) -> Target {
    let folder = json!({ "tenant_id": app.bench.tenant_id, "name": "Attacked" });
    let (_, folder) = app.post("/api/v1/folders", folder).await;
    Target {
        address: url.trim_start_matches("http://").to_owned(),
        key: app.key.clone(),
        folder: folder["id"].as_str().expect("a folder").to_owned(),
    }
}

/// Connections are cut after seconds, as waiting for the defaults would take minutes.
const SHORT: &[(&str, &str)] =
    &[("REQUEST_HEAD_SECONDS", "1"), ("IDLE_CONNECTION_SECONDS", "1"), ("RESPONSE_STALL_SECONDS", "1")];

#[sqlx::test(migrations = "../migrations")]
async fn connections_that_wait_are_cut(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let admin = Watched::start(&app, SHORT).await;
    let target = target(&app, &admin.url).await;
    let silent = target.connections(20, "").await;
    let half = target.connections(20, "GET / HTTP/1.1\r\nHost: x\r\nX-Half: ").await;
    let idle = target.connections(20, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let unread = target.connections(20, "GET /docs HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for connection in silent.into_iter().chain(half).chain(idle) {
        attack::ends(connection, Duration::from_secs(30)).await;
    }
    for connection in unread {
        attack::is_reset(connection, Duration::from_secs(30)).await;
    }
    admin.is_well().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_client_with_too_many_connections_loses_its_oldest(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_admin, url) = app.serve_apart_with(&[("MAX_CONNECTIONS_PER_CLIENT", "10")]).await;
    let target = target(&app, &url).await;
    let held = target.connections(40, "GET / HTTP/1.1\r\nX-Half: ").await;
    let health = target.say("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    for connection in held.into_iter().take(30) {
        attack::ends(connection, Duration::from_secs(5)).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn large_heads_and_compressed_bodies_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let admin = Watched::start(&app, &[]).await;
    let target = target(&app, &admin.url).await;
    let head = format!("GET / HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(64 * 1024));
    assert!(target.say(&head).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X-Many: x\r\n".repeat(200));
    assert!(target.say(&many).await.starts_with("HTTP/1.1 431"));
    let packed = target.post("/api/v1/folders", "Content-Encoding: gzip\r\nContent-Type: application/json\r\n", b"{}");
    assert!(packed.await.starts_with("HTTP/1.1 415"));
}

/// Each stranger has another address and another network, so no throttle refuses them.
#[sqlx::test(migrations = "../migrations")]
async fn sign_ins_at_once_share_a_few_buffers(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let admin = Watched::start_as_asked(&app, &[("TRUSTED_PROXIES", "1")]).await;
    let target = target(&app, &admin.url).await;
    let before_kib = admin.highest_kib();
    for round in 0..3 {
        let sign_ins = (0..50).map(|number| {
            let body = json!({ "email": format!("stranger-{round}-{number}@example.com"), "password": "guessed it" });
            let headers = format!("X-Forwarded-For: 10.{round}.{number}.1\r\nContent-Type: application/json\r\n");
            let target = &target;
            async move { target.post("/api/v1/auth/login", &headers, body.to_string().as_bytes()).await }
        });
        for answer in futures_util::future::join_all(sign_ins).await {
            assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        }
    }
    admin.is_well().await;
    let highest_kib = admin.highest_kib();
    println!("highest memory: {} MiB, from {} MiB; {}", highest_kib / 1024, before_kib / 1024, admin.latency());
    assert!(highest_kib - before_kib < SIGN_INS_LIMIT_KIB, "{highest_kib} KiB, from {before_kib} KiB");
}

#[sqlx::test(migrations = "../migrations")]
async fn all_at_once_stays_within_the_limit(pool: PgPool) {
    let is_long = process::is_long();
    let app = TestApp::new(pool).await;
    let admin = Watched::start_as_asked(&app, &[]).await;
    let target = target(&app, &admin.url).await;
    let (connections, uploads, upload_bytes) = if is_long { (200, 20, 20 * 1024 * 1024) } else { (20, 3, 1024 * 1024) };
    let picture = target.upload("photo.png", &attack::picture(upload_bytes)).await;
    assert!(picture.starts_with("HTTP/1.1 201"), "{picture}");
    let id = picture.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");

    let mut held = target.connections(connections, "GET / HTTP/1.1\r\nX-Half: ").await;
    held.extend(target.connections(2 * connections, "GET /docs HTTP/1.1\r\nHost: x\r\n\r\n").await);
    let head =
        format!("GET /api/v1/assets/{id}/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", app.key);
    held.extend(target.connections(2 * uploads, &head).await);
    let bytes = attack::picture(upload_bytes);
    let scale = if is_long { 1 } else { 10 };
    // As large as may be, a photo of a phone, and one that is refused.
    let pictures = [
        (attack::jpeg(5_400 / scale, 5_400 / scale, true), ["201", "503"]),
        (attack::jpeg(8_064 / scale, 6_048 / scale, false), ["201", "503"]),
        (attack::bilevel(12_000), ["413", "413"]),
    ];
    let sending = (0..uploads).map(|_| target.upload("photo.png", &bytes));
    let decoding = pictures.iter().cycle().take(12).map(|(picture, _)| target.upload("large.jpg", picture));
    let (sent, decoded) =
        futures_util::future::join(futures_util::future::join_all(sending), futures_util::future::join_all(decoding))
            .await;
    for answer in sent {
        assert!(["201", "503"].iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status}"))), "{answer}");
    }
    for (answer, (_, expected)) in decoded.iter().zip(pictures.iter().cycle()) {
        assert!(expected.iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status}"))), "{answer}");
    }
    admin.is_well().await;
    let highest_kib = admin.highest_kib();
    println!("highest memory: {} MiB; {}", highest_kib / 1024, admin.latency());
    assert!(highest_kib < LIMIT_KIB, "{highest_kib} KiB");
    drop(held);
}
