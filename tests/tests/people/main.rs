//! Tests of people: registering, signing in, staying signed in, and their permissions in tenants.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod account;
mod addresses;
mod browser;
mod connect_links;
mod connecting;
mod entry;
mod external_login;
mod hostile_callbacks;
mod keyed;
mod members;
mod operators;
mod second_factor;
mod second_factor_rules;
mod second_step;
mod sessions;

use std::time::Duration;

use jobs::people::store::Purpose;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    TestApp, answer,
    people::{PASSWORD, SignedIn},
};

fn assert_problem((status, body): &(StatusCode, Value), expected: u16, code: &str) {
    assert_eq!((status.as_u16(), body["code"].as_str()), (expected, Some(code)), "{body}");
}

async fn login(app: &TestApp, email: &str, password: &str) -> (StatusCode, Value) {
    app.open("login", json!({ "email": email, "password": password })).await
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_registers_verifies_signs_in_and_owns_a_tenant(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let email = "ada@example.com";
    assert_eq!(app.register(email, PASSWORD).await, 202);
    assert_problem(&login(&app, email, PASSWORD).await, 403, "email_not_verified");
    assert_problem(&login(&app, email, "another password").await, 401, "wrong_password");

    let code = app.last_code(email, Purpose::VerifyEmail).await;
    let with = async |password: &str| app.open("verify-email", json!({ "code": code, "password": password })).await;
    assert_problem(&with("another password").await, 401, "wrong_password");
    let verify = async || with(PASSWORD).await;
    assert_eq!(verify().await.0, 200);
    assert_problem(&verify().await, 422, "bad_code");

    let ada = SignedIn::of(&login(&app, "Ada@Example.com", PASSWORD).await.1);
    let (status, me) = app.call(&ada, Method::GET, "auth/me", Value::Null).await;
    assert_eq!(status, 200, "{me}");
    assert_eq!((&me["email"], &me["first_name"], &me["last_name"]), (&json!(email), &json!("Some"), &json!("Body")));
    assert_eq!((&me["tenants"][0]["role"], &me["tenants"][0]["name"]), (&json!("owner"), &json!(email)));
    assert_eq!(me["current_tenant_id"], me["tenants"][0]["tenant_id"]);

    let patch = json!({ "last_name": "Lovelace", "picture_url": "https://example.com/ada.png" });
    let (_, me) = app.call(&ada, Method::PATCH, "auth/me", patch).await;
    assert_eq!((&me["first_name"], &me["last_name"]), (&json!("Some"), &json!("Lovelace")));
    let (_, me) = app.call(&ada, Method::PATCH, "auth/me", json!({ "picture_url": "" })).await;
    assert_eq!(me["picture_url"], Value::Null);
    let (status, _) = app.call(&ada, Method::PATCH, "auth/me", json!({ "operator_role": "full" })).await;
    assert_eq!(status, 400, "nobody makes themselves an operator");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_address_registered_by_somebody_else_is_its_owners(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let email = "victim@example.com";
    app.register(email, "the attacker's password").await;
    app.register(email, PASSWORD).await;
    let code = app.last_code(email, Purpose::VerifyEmail).await;
    app.register(email, "the attacker's password").await;
    let attackers = app.last_code(email, Purpose::VerifyEmail).await;
    let confirm = async |code: &str| app.open("verify-email", json!({ "code": code, "password": PASSWORD })).await;
    assert_problem(&confirm(&attackers).await, 401, "wrong_password");
    assert_eq!(confirm(&code).await.0, 200);
    assert_problem(&login(&app, email, "the attacker's password").await, 401, "wrong_password");
    app.sign_in(email, PASSWORD).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_learns_which_addresses_are_known(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.person("known@example.com").await;
    let mut answers = Vec::new();
    for email in ["known@example.com", "unknown@example.com"] {
        let register =
            json!({ "name": "X", "email": email, "password": "some other password", "organization_name": "X" });
        answers.push([
            app.open("forgot-password", json!({ "email": email })).await,
            login(&app, email, "not the password").await,
            app.open("register", register).await,
        ]);
    }
    assert_eq!(answers[0], answers[1]);
    let statuses: Vec<u16> = answers[0].iter().map(|(status, _)| status.as_u16()).collect();
    assert_eq!(statuses, [202, 401, 202]);
    app.sign_in("known@example.com", PASSWORD).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_forgotten_password_is_changed_by_a_link_and_ends_all_sessions(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let forgot = async |app: &TestApp| {
        assert_eq!(app.open("forgot-password", json!({ "email": "ada@example.com" })).await.0, 202);
        app.last_code("ada@example.com", Purpose::ResetPassword).await
    };
    let late = forgot(&app).await;
    app.shift_clock(Duration::from_mins(61));
    let reset = json!({ "code": late, "password": "another password" });
    assert_problem(&app.open("reset-password", reset).await, 422, "bad_code");

    let code = forgot(&app).await;
    assert_problem(
        &app.open("reset-password", json!({ "code": code, "password": "short" })).await,
        422,
        "weak_password",
    );
    let verify = app.open("verify-email", json!({ "code": code, "password": PASSWORD })).await;
    assert_problem(&verify, 422, "bad_code");
    let reset = async || app.open("reset-password", json!({ "code": code, "password": "another password" })).await;
    assert_eq!(reset().await.0, 200);
    assert_problem(&reset().await, 422, "bad_code");
    assert_problem(&login(&app, "ada@example.com", PASSWORD).await, 401, "wrong_password");
    app.sign_in("ada@example.com", "another password").await;
    let refresh = app.open("refresh", json!({ "refresh_token": ada.refresh })).await;
    assert_problem(&refresh, 401, "bad_refresh_token");
}

#[sqlx::test(migrations = "../migrations")]
async fn too_many_tries_wait_in_every_process_and_without_redis(pool: PgPool) {
    let app = TestApp::with_redis(pool, "redis://127.0.0.1:1").await;
    app.person("ada@example.com").await;
    let (_apart, elsewhere) = app.serve_apart().await;
    let elsewhere = format!("{elsewhere}/api/v1/auth/login");
    let mut statuses = Vec::new();
    for attempt in 0..12 {
        let body = json!({ "email": "ada@example.com", "password": "guess" });
        let url = if attempt % 2 == 0 { format!("{}/api/v1/auth/login", app.url) } else { elsewhere.clone() };
        let client = reqwest::Client::builder().build().unwrap();
        let answered = client.post(url).json(&body).send().await.unwrap();
        if answered.status() == 429 {
            let wait: u64 = answered.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
        statuses.push(answered.status().as_u16());
    }
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    assert_problem(&login(&app, "ada@example.com", PASSWORD).await, 429, "too_many_tries");
    assert_problem(&login(&app, "somebody@example.com", "guess").await, 401, "wrong_password");
}

#[sqlx::test(migrations = "../migrations")]
async fn operators_sign_in_too(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let staff = app.person("staff@example.com").await;
    app.enrol(&staff).await;
    let path = format!("tenants/{}", app.bench.tenant_id);
    assert_eq!(app.call(&staff, Method::GET, &path, Value::Null).await.0, 404);
    for (role, may_write) in [("read_only", false), ("full", true)] {
        let sql = format!("update users set operator_role = '{role}' where email = 'staff@example.com'");
        let mut tx = app.bench.engine.db.system().await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(app.call(&staff, Method::GET, &path, Value::Null).await.0, 200, "{role}");
        let paused = app.call(&staff, Method::POST, "queues/ai/pause", json!({})).await;
        assert_eq!(paused.0 == StatusCode::OK, may_write, "{role}: {}", paused.1);
    }
    let log = app.get("/api/v1/audit-log").await;
    assert_eq!(
        (&log["items"][0]["action"], &log["items"][0]["actor_name"]),
        (&json!("queue.pause"), &json!("staff@example.com"))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn keys_are_no_people(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (method, path) in [(Method::GET, "auth/me"), (Method::POST, "auth/logout")] {
        let answered = answer(app.request(method, &format!("/api/v1/{path}"))).await;
        assert_problem(&answered, 403, "people_only");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_is_let_in_by_a_link_and_out_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let with =
        ["--public-url", "https://linecook.example.com", "--secret-key", "a-secret-key-for-tests-and-nothing-else"];
    let made = ["create-operator", "--name", "Ada Lovelace", "--email", "ada@example.com", "--read-only"];
    let url = app.admin(&[made.as_slice(), &with].concat()).await;
    let code =
        url.lines().last().unwrap().strip_prefix("https://linecook.example.com/reset-password/").unwrap().to_owned();
    let reset = app.open("reset-password", json!({ "code": code, "password": PASSWORD })).await;
    assert_eq!(reset.0, 200, "{}", reset.1);
    let ada = app.sign_in("ada@example.com", PASSWORD).await;
    assert_problem(&app.call(&ada, Method::GET, "stats", Value::Null).await, 403, "second_factor_required");
    app.enrol(&ada).await;
    assert_eq!(app.call(&ada, Method::GET, "stats", Value::Null).await.0, 200);
    assert_problem(&app.call(&ada, Method::POST, "queues/ai/pause", json!({})).await, 403, "missing_permission");

    app.admin(&["remove-operator", "--email", "Ada@example.com"]).await;
    assert_eq!(app.call(&ada, Method::GET, "stats", Value::Null).await.0, 401);
    app.admin(&["reset-second-factor", "--email", "Ada@example.com"]).await;
    let again = app.sign_in("ada@example.com", PASSWORD).await;
    assert_problem(&app.call(&again, Method::GET, "stats", Value::Null).await, 403, "operators_only");
    assert_ne!(app.try_admin(&["remove-operator", "--email", "ada@example.com"]).await.0, Some(0));
}
