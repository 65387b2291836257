//! Tests of the settings about new accounts.

use jobs::{people::store::Purpose, tenants::invitations::PURPOSE};
use reqwest::{Client, Method, redirect::Policy};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    TestApp, answer,
    people::{PASSWORD, SignedIn},
};

use super::{assert_problem, browser::submit, login};

async fn invite(app: &TestApp, by: &SignedIn, email: &str) -> String {
    let (_, me) = app.call(by, Method::GET, "auth/me", Value::Null).await;
    let path = format!("tenants/{}/invitations", me["tenants"][0]["tenant_id"].as_str().unwrap());
    let (status, invitation) = app.call(by, Method::POST, &path, json!({ "email": email, "role": "member" })).await;
    assert_eq!(status, 201, "{invitation}");
    app.bench.engine.services.signer.code(PURPOSE, invitation["id"].as_str().unwrap().parse().unwrap())
}

async fn get(url: &str, path: &str) -> (u16, String) {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let sent = client.get(format!("{url}{path}")).send().await.unwrap();
    (sent.status().as_u16(), sent.text().await.unwrap())
}

#[sqlx::test(migrations = "../migrations")]
async fn operators_say_who_may_make_an_account(pool: PgPool) {
    for (sign_up, expected) in [("invited", 200), ("closed", 403)] {
        let app = TestApp::new(pool.clone()).await;
        let owner = app.person(&format!("owner.{sign_up}@example.com")).await;
        let late = format!("late.{sign_up}@example.com");
        app.register(&late, PASSWORD).await;
        let verify = json!({ "code": app.last_code(&late, Purpose::VerifyEmail).await, "password": PASSWORD });
        let code = invite(&app, &owner, &format!("guest.{sign_up}@example.com")).await;
        let (_admin, url) = app.serve_apart_with(&[("SIGN_UP", sign_up)]).await;
        let client = Client::builder().build().unwrap();
        let open =
            async |path: &str, body: Value| answer(client.post(format!("{url}/api/v1/auth/{path}")).json(&body)).await;

        let register =
            json!({ "name": "A", "email": "new@example.com", "password": PASSWORD, "organization_name": "A" });
        assert_problem(&open("register", register).await, 403, "sign_up_closed");
        assert_problem(&open("verify-email", verify).await, 403, "sign_up_closed");
        let (status, page) = get(&url, "/sign-up").await;
        assert!(status == 403 && !page.contains("<form"), "{page}");
        assert!(!get(&url, "/sign-in").await.1.contains("/sign-up"));
        let accept = json!({ "code": code, "name": "Guest", "password": PASSWORD });
        assert_eq!(open("accept-invitation", accept).await.0.as_u16(), expected, "{sign_up}");
        let who = json!({ "email": format!("owner.{sign_up}@example.com"), "password": PASSWORD });
        assert_eq!(open("login", who).await.0, 200, "who is in stays in");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_mail_server_the_form_says_so_first(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_admin, url) = app.serve_apart_with(&[("SMTP_URL", "")]).await;
    let (status, page) = get(&url, "/sign-up").await;
    assert!(status == 200 && page.contains("SMTP_URL") && !page.contains("<form"), "{page}");
    assert!(page.contains("Sign in with Google"), "{page}");
    let client = Client::builder().build().unwrap();
    for path in ["register", "forgot-password"] {
        let mut body = json!({ "email": "new@example.com" });
        if path == "register" {
            body = json!({ "email": "new@example.com", "name": "A", "password": PASSWORD, "organization_name": "A" });
        }
        let refused = answer(client.post(format!("{url}/api/v1/auth/{path}")).json(&body)).await;
        assert_problem(&refused, 409, "not_configured");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn operators_say_with_which_providers_people_sign_in(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (_admin, url) = app.serve_apart_with(&[("SIGN_IN_WITH", "github")]).await;
    let (_, page) = get(&url, "/sign-in").await;
    assert!(page.contains("Sign in with GitHub") && !page.contains("Google"), "{page}");
    assert_eq!(get(&url, "/sign-in/google").await.0, 404);
    assert_eq!(get(&url, "/sign-in/github").await.0, 303);
}

#[sqlx::test(migrations = "../migrations")]
async fn weak_passwords_are_refused_wherever_one_is_chosen(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let code = invite(&app, &owner, "guest.rossi@example.com").await;
    assert_eq!(app.open("forgot-password", json!({ "email": "owner@example.com" })).await.0, 202);
    let reset = app.last_code("owner@example.com", Purpose::ResetPassword).await;
    for weak in [
        "password123",
        "1234567890",
        "\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}",
    ] {
        let register = json!({ "name": "A", "email": "new@example.com", "password": weak, "organization_name": "A" });
        for refused in [
            app.open("register", register).await,
            app.open("reset-password", json!({ "code": reset, "password": weak })).await,
            app.open("accept-invitation", json!({ "code": code, "name": "Guest", "password": weak })).await,
        ] {
            assert_problem(&refused, 422, "weak_password");
        }
    }
    let own = json!({ "code": code, "name": "Guest", "password": "guest.rossi@example.com" });
    assert_problem(&app.open("accept-invitation", own).await, 422, "weak_password");
    let own = json!({ "code": reset, "password": "owner@example.com" });
    assert_problem(&app.open("reset-password", own).await, 422, "weak_password");
    let page = submit(&app, &format!("/reset-password/{reset}"), &[("password", "password123")]).await;
    assert!(page.text().await.unwrap().contains("easy to guess"));
    let good = json!({ "code": reset, "password": "a better one than before" });
    assert_eq!(app.open("reset-password", good).await.0, 200, "the link is good until one is taken");
    assert_problem(&login(&app, "owner@example.com", PASSWORD).await, 401, "wrong_password");
}

#[sqlx::test(migrations = "../migrations")]
async fn guesses_from_one_site_of_ipv6_do_not_keep_the_owner_out(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.person("ada@example.com").await;
    let (_admin, url) = app.serve_apart_with(&[("TRUSTED_PROXIES", "1")]).await;
    let client = Client::builder().build().unwrap();
    let from = async |machine: String, password: &str| {
        let body = json!({ "email": "ada@example.com", "password": password });
        let request = client.post(format!("{url}/api/v1/auth/login")).header("x-forwarded-for", machine).json(&body);
        answer(request).await.0.as_u16()
    };
    let mut statuses = Vec::new();
    for machine in 0..32 {
        statuses.push(from(format!("2001:db8:7:{machine:x}::1"), "a guess").await);
    }
    assert_eq!(statuses, [[401; 30].as_slice(), &[429; 2]].concat(), "a /64 each, one /48");
    assert_eq!(from("2001:db8:7:ffff::1".to_owned(), PASSWORD).await, 429);
    assert_eq!(from("2001:db8:8::1".to_owned(), PASSWORD).await, 200, "from another site");
}
