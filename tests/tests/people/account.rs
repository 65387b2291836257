//! Tests of what people change about how they sign in: password, address, sessions.

use std::time::Duration;

use jobs::people::store::{Purpose, Side};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    TestApp, answer,
    people::{PASSWORD, SignedIn},
};
use uuid::Uuid;

use super::{assert_problem, login};

const NEW_PASSWORD: &str = "another fine password";

async fn is_in(app: &TestApp, who: &SignedIn) -> bool {
    app.call(who, Method::GET, "auth/me", Value::Null).await.0 == 200
}

#[sqlx::test(migrations = "../migrations")]
async fn a_password_is_changed_with_the_old_one_and_ends_other_sessions(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let elsewhere = app.sign_in("ada@example.com", PASSWORD).await;
    app.open("forgot-password", json!({ "email": "ada@example.com" })).await;
    let link = app.last_code("ada@example.com", Purpose::ResetPassword).await;
    let change = async |body: Value| app.call(&ada, Method::POST, "auth/me/password", body).await;
    assert_problem(&change(json!({ "password": NEW_PASSWORD })).await, 403, "password_needed");
    let wrong = json!({ "current_password": "not the password", "password": NEW_PASSWORD });
    assert_problem(&change(wrong).await, 403, "password_needed");
    let weak = json!({ "current_password": PASSWORD, "password": "password123" });
    assert_problem(&change(weak).await, 422, "weak_password");
    assert_eq!(change(json!({ "current_password": PASSWORD, "password": NEW_PASSWORD })).await.0, 204);
    assert!(is_in(&app, &ada).await && !is_in(&app, &elsewhere).await);
    assert_problem(&login(&app, "ada@example.com", PASSWORD).await, 401, "wrong_password");
    app.sign_in("ada@example.com", NEW_PASSWORD).await;
    let reset = app.open("reset-password", json!({ "code": link, "password": "a third fine password" })).await;
    assert_problem(&reset, 422, "bad_code");
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let sql = "select count(*) from jobs where args->>'letter' = 'account_changed' and args->>'change' = 'password'";
    let letters: i64 = sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap();
    assert_eq!(letters, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_without_a_password_has_to_have_signed_in_just_now(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    app.bench.execute("update users set password_hash = null where $1 <> id", Uuid::nil()).await;
    let change = async |app: &TestApp| {
        app.call(&ada, Method::POST, "auth/me/password", json!({ "password": NEW_PASSWORD })).await
    };
    app.shift_clock(Duration::from_mins(10));
    assert_problem(&change(&app).await, 403, "sign_in_again");
    app.bench.execute("update sessions set created_at = engine_now() where $1 <> id", Uuid::nil()).await;
    assert_eq!(change(&app).await.0, 204);
    app.sign_in("ada@example.com", NEW_PASSWORD).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn guesses_at_the_password_of_a_session_are_counted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let body = json!({ "current_password": "a guess", "password": NEW_PASSWORD });
    for _ in 0..10 {
        let refused = app.call(&ada, Method::POST, "auth/me/password", body.clone()).await;
        assert_problem(&refused, 403, "password_needed");
    }
    assert_problem(&app.call(&ada, Method::POST, "auth/me/password", body).await, 429, "too_many_tries");
}

async fn change_email(app: &TestApp, who: &SignedIn, email: &str) -> (StatusCode, Value) {
    app.call(who, Method::POST, "auth/me/email", json!({ "email": email, "password": PASSWORD })).await
}

async fn confirm(app: &TestApp, code: &str) -> (StatusCode, Value) {
    app.open("confirm-address", json!({ "code": code })).await
}

#[sqlx::test(migrations = "../migrations")]
async fn an_address_changes_when_both_mailboxes_have_confirmed_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let without = app.call(&ada, Method::POST, "auth/me/email", json!({ "email": "ada@other.example" })).await;
    assert_problem(&without, 403, "password_needed");
    for wrong in ["a,b@c.example", "a..b@c.example", "\u{212a}ate@c.example"] {
        assert_problem(&change_email(&app, &ada, wrong).await, 422, "bad_email");
    }
    assert_problem(&change_email(&app, &ada, "ada@example.com").await, 422, "no_change");
    app.register("ada@bücher.example", "somebody else's password").await;
    for first in [Side::New, Side::Old] {
        let (status, sent) = change_email(&app, &ada, "Ada@Bücher.example").await;
        assert_eq!(status, 202, "{sent}");
        let code = app.address_code("ada@example.com", first).await;
        let (status, half) = confirm(&app, &code).await;
        assert_eq!((status.as_u16(), &half["is_done"]), (200, &json!(false)), "{half}");
        assert_problem(&confirm(&app, &code).await, 422, "bad_code");
        app.sign_in("ada@example.com", PASSWORD).await;
    }
    app.open("forgot-password", json!({ "email": "ada@example.com" })).await;
    let link = app.last_code("ada@example.com", Purpose::ResetPassword).await;
    let new = app.address_code("ada@example.com", Side::New).await;
    let (status, done) = confirm(&app, &new).await;
    assert_eq!((status.as_u16(), &done["is_done"]), (200, &json!(true)), "{done}");
    assert!(is_in(&app, &ada).await, "sessions go on");
    app.sign_in("ada@xn--bcher-kva.example", PASSWORD).await;
    assert_problem(&login(&app, "ada@example.com", PASSWORD).await, 401, "wrong_password");
    let reset = app.open("reset-password", json!({ "code": link, "password": NEW_PASSWORD })).await;
    assert_problem(&reset, 422, "bad_code");
    let log = app.get("/api/v1/audit-log").await;
    let entry = log["items"].as_array().unwrap().iter().find(|entry| entry["action"] == "user.change_email").unwrap();
    assert_eq!(entry["details"], json!({ "before": "ada@example.com", "after": "Ada@xn--bcher-kva.example" }));
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_takes_or_learns_of_an_address_that_has_an_account(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let answers = [change_email(&app, &ada, "free@example.com").await, {
        app.person("bob@example.com").await;
        change_email(&app, &ada, "BOB@example.com").await
    }];
    assert_eq!(answers[0], answers[1]);
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let sql = "select count(*) from jobs where args->>'letter' = 'address_taken'";
    let letters: i64 = sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap();
    assert_eq!(letters, 1, "bob gets no link");
    drop(tx);
    let (old, new) =
        (app.address_code("ada@example.com", Side::Old).await, app.address_code("ada@example.com", Side::New).await);
    assert_eq!(confirm(&app, &old).await.0, 200);
    assert_problem(&confirm(&app, &new).await, 409, "address_taken");
    app.sign_in("bob@example.com", PASSWORD).await;
    app.sign_in("ada@example.com", PASSWORD).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_of_address_ends_with_time_and_with_a_new_password(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    change_email(&app, &ada, "ada@other.example").await;
    let code = app.address_code("ada@example.com", Side::Old).await;
    let body = json!({ "current_password": PASSWORD, "password": NEW_PASSWORD });
    assert_eq!(app.call(&ada, Method::POST, "auth/me/password", body).await.0, 204);
    assert_problem(&confirm(&app, &code).await, 422, "bad_code");
    let again = json!({ "email": "ada@other.example", "password": NEW_PASSWORD });
    assert_eq!(app.call(&ada, Method::POST, "auth/me/email", again).await.0, 202);
    let code = app.address_code("ada@example.com", Side::New).await;
    app.shift_clock(Duration::from_hours(24));
    assert_problem(&confirm(&app, &code).await, 422, "bad_code");
    for nonsense in ["", "nonsense", &"A".repeat(86)] {
        assert_problem(&confirm(&app, nonsense).await, 422, "bad_code");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn sessions_are_listed_and_ended_by_their_owner_only(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let sign_in = [("email", "ada@example.com"), ("password", PASSWORD)];
    let browser = app.anonymous(Method::POST, "/sign-in").header("origin", &app.url).form(&sign_in);
    let browser = browser.header("user-agent", format!("Mozilla/5.0 {}", "x".repeat(400))).send().await.unwrap();
    assert_eq!(browser.status(), 303);
    let program = app.sign_in("ada@example.com", PASSWORD).await;
    let bob = app.person("bob@example.com").await;
    let list =
        async |who: &SignedIn| app.call(who, Method::GET, "auth/me/sessions", Value::Null).await.1["items"].clone();
    let sessions = list(&ada).await;
    let sessions = sessions.as_array().unwrap();
    assert_eq!(sessions.len(), 3, "{sessions:?}");
    let current: Vec<&Value> = sessions.iter().filter(|session| session["is_current"] == true).collect();
    assert_eq!(current.len(), 1);
    let in_browser = sessions.iter().find(|session| session["is_browser"] == true).unwrap();
    let agent = in_browser["user_agent"].as_str().unwrap();
    assert!(agent.starts_with("Mozilla/5.0 x") && agent.len() == 300, "{agent}");
    assert!(in_browser["last_used_at"].is_string() && in_browser["remote_address"] == "127.0.0.1", "{in_browser}");

    let path = format!("auth/me/sessions/{}", in_browser["id"].as_str().unwrap());
    assert_problem(&app.call(&bob, Method::DELETE, &path, Value::Null).await, 404, "not_found");
    assert_eq!(app.call(&ada, Method::DELETE, &path, Value::Null).await.0, 204);
    assert_problem(&app.call(&ada, Method::DELETE, &path, Value::Null).await, 404, "not_found");
    assert_eq!(list(&ada).await.as_array().unwrap().len(), 2);
    assert_eq!(app.call(&ada, Method::DELETE, "auth/me/sessions", Value::Null).await.0, 204);
    assert!(is_in(&app, &ada).await && is_in(&app, &bob).await && !is_in(&app, &program).await);
    let with_key = answer(app.request(Method::GET, "/api/v1/auth/me/sessions")).await;
    assert_problem(&with_key, 403, "people_only");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_session_ends_after_ninety_days_however_much_it_is_used(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let mut ada = app.person("ada@example.com").await;
    for _ in 0..4 {
        app.shift_clock(Duration::from_hours(24 * 22));
        let (status, tokens) = app.open("refresh", json!({ "refresh_token": ada.refresh })).await;
        assert_eq!(status, 200, "{tokens}");
        ada = SignedIn::of(&tokens);
    }
    app.shift_clock(Duration::from_hours(24 * 3));
    let over = app.open("refresh", json!({ "refresh_token": ada.refresh })).await;
    assert_problem(&over, 401, "bad_refresh_token");
}
