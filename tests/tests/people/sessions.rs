//! Tests of staying signed in.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, people::SignedIn, until};

use super::assert_problem;

async fn refresh(app: &TestApp, token: &str) -> (StatusCode, Value) {
    app.open("refresh", json!({ "refresh_token": token })).await
}

async fn is_in(app: &TestApp, who: &SignedIn) -> bool {
    app.call(who, Method::GET, "auth/me", Value::Null).await.0 == 200
}

#[sqlx::test(migrations = "../migrations")]
async fn an_access_token_ends_and_a_refresh_token_gives_the_next(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    app.shift_clock(Duration::from_mins(15));
    assert!(is_in(&app, &ada).await, "clocks may differ by 30 seconds");
    app.shift_clock(Duration::from_secs(31));
    assert!(!is_in(&app, &ada).await);
    let (status, tokens) = refresh(&app, &ada.refresh).await;
    assert_eq!((status.as_u16(), &tokens["expires_in"], &tokens["token_type"]), (200, &json!(900), &json!("Bearer")));
    assert!(is_in(&app, &SignedIn::of(&tokens)).await);
    app.shift_clock(Duration::from_hours(24 * 31));
    assert_problem(&refresh(&app, tokens["refresh_token"].as_str().unwrap()).await, 401, "bad_refresh_token");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refresh_token_that_comes_back_ends_the_session_and_is_written_down(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let next = SignedIn::of(&refresh(&app, &ada.refresh).await.1);
    let again = SignedIn::of(&refresh(&app, &ada.refresh).await.1);
    assert!(is_in(&app, &next).await && is_in(&app, &again).await, "the refresh can be repeated at once");
    app.shift_clock(Duration::from_secs(11));
    assert_problem(&refresh(&app, &ada.refresh).await, 401, "bad_refresh_token");
    for token in [&next.refresh, &again.refresh] {
        assert_problem(&refresh(&app, token).await, 401, "bad_refresh_token");
    }
    assert!(!is_in(&app, &next).await && !is_in(&app, &again).await);
    let log = app.get("/api/v1/audit-log").await;
    assert_eq!(log["items"][0]["action"], json!("session.reuse"));
    app.sign_in("ada@example.com", tests::people::PASSWORD).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn of_many_exchanges_at_once_none_is_taken_for_theft(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let all = (0..20).map(|_| refresh(&app, &ada.refresh));
    let answers: Vec<(StatusCode, Value)> = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let mut renewed = Vec::new();
    for (_, tokens) in &answers {
        renewed.push(refresh(&app, tokens["refresh_token"].as_str().unwrap()).await.0.as_u16());
    }
    assert_eq!(renewed, [[200].as_slice(), &[401; 19]].concat(), "one successor lives on");
}

#[sqlx::test(migrations = "../migrations")]
async fn two_holders_who_renew_at_once_are_found_out(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for is_ahead in [false, true] {
        let email = format!("ada{is_ahead}@example.com");
        let ada = app.person(&email).await;
        let owners = SignedIn::of(&refresh(&app, &ada.refresh).await.1);
        // The other holder comes with the same token, or with the one before after the owner has
        // gone on.
        let second = if is_ahead {
            let _ = SignedIn::of(&refresh(&app, &owners.refresh).await.1);
            ada.refresh
        } else {
            let thiefs = SignedIn::of(&refresh(&app, &ada.refresh).await.1);
            let _ = SignedIn::of(&refresh(&app, &owners.refresh).await.1);
            thiefs.refresh
        };
        assert_problem(&refresh(&app, &second).await, 401, "bad_refresh_token");
        assert!(!is_in(&app, &owners).await, "the session has ended");
        let log = app.get("/api/v1/audit-log").await;
        let reuse = &log["items"][0];
        assert_eq!((&reuse["action"], &reuse["actor_name"]), (&json!("session.reuse"), &json!(email)));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn who_signs_out_is_out_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let other = app.sign_in("ada@example.com", tests::people::PASSWORD).await;
    assert_eq!(app.call(&ada, Method::POST, "auth/logout", Value::Null).await.0, 204);
    assert!(!is_in(&app, &ada).await && is_in(&app, &other).await);
    assert_problem(&refresh(&app, &ada.refresh).await, 401, "bad_refresh_token");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_open_stream_ends_when_its_reader_signs_out(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let me = app.call(&ada, Method::GET, "auth/me", Value::Null).await.1;
    let body =
        json!({ "tenant_id": me["current_tenant_id"], "kind": "noop", "args": {}, "run_at": "2099-01-01T00:00:00Z" });
    let (_, job) = app.call(&ada, Method::POST, "jobs", body).await;
    let path = format!("/api/v1/jobs/{}/events", job["job_id"].as_str().unwrap());
    let mut stream = app.anonymous(Method::GET, &path).bearer_auth(&ada.token).send().await.unwrap();
    assert!(String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()).contains("scheduled"));
    app.call(&ada, Method::POST, "auth/logout", Value::Null).await;
    until("the stream ends", Duration::from_mins(1), async || {
        matches!(tokio::time::timeout(Duration::from_secs(1), stream.chunk()).await, Ok(Ok(None))).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_tokens_for_one_whose_answer_was_lost_only_one_goes_on(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let owners = SignedIn::of(&refresh(&app, &ada.refresh).await.1);
    let thiefs = SignedIn::of(&refresh(&app, &ada.refresh).await.1);
    let owners = SignedIn::of(&refresh(&app, &owners.refresh).await.1);
    app.shift_clock(Duration::from_secs(11));
    assert_problem(&refresh(&app, &thiefs.refresh).await, 401, "bad_refresh_token");
    assert!(!is_in(&app, &owners).await, "the owner's session ends too");
}
