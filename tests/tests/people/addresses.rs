//! Addresses: one form for each mailbox, whatever way it comes in by.

use jobs::people::store::Purpose;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, people::PASSWORD};

use super::{assert_problem, login};

/// The sign of kelvin, which PostgreSQL and Rust write as a k in lower case.
const LOOK_ALIKE: &str = "\u{212a}im@example.com";

#[sqlx::test(migrations = "../migrations")]
async fn a_domain_of_other_letters_is_one_address_however_it_is_written(pool: PgPool) {
    let app = TestApp::new(pool).await;
    assert_eq!(app.register("Ada@Bücher.example", PASSWORD).await, 202);
    let code = app.last_code("Ada@xn--bcher-kva.example", Purpose::VerifyEmail).await;
    assert_eq!(app.open("verify-email", json!({ "code": code, "password": PASSWORD })).await.0, 200);
    for written in ["ada@bücher.example", "ADA@BÜCHER.EXAMPLE", "ada@xn--bcher-kva.example"] {
        let ada = app.sign_in(written, PASSWORD).await;
        let (_, me) = app.call(&ada, Method::GET, "auth/me", Value::Null).await;
        assert_eq!(me["email"], json!("Ada@xn--bcher-kva.example"), "{written}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_look_alike_is_nobody(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let kim = app.person("kim@example.com").await;
    let (_, me) = app.call(&kim, Method::GET, "auth/me", Value::Null).await;
    let tenant = me["tenants"][0]["tenant_id"].as_str().unwrap();
    assert_problem(&login(&app, LOOK_ALIKE, PASSWORD).await, 401, "wrong_password");
    assert_problem(&app.open("forgot-password", json!({ "email": LOOK_ALIKE })).await, 422, "bad_email");
    let invite = json!({ "email": LOOK_ALIKE, "role": "member" });
    let invited = app.call(&kim, Method::POST, &format!("tenants/{tenant}/invitations"), invite).await;
    assert_problem(&invited, 422, "bad_email");
}

#[sqlx::test(migrations = "../migrations")]
async fn guesses_and_letters_are_counted_by_the_one_form(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.person("ada@bücher.example").await;
    let forms = ["ada@bücher.example", "Ada@Bücher.example", "ada@xn--bcher-kva.example", "ADA@XN--BCHER-KVA.EXAMPLE"];
    let mut refused = 0;
    for written in forms.iter().cycle().take(12) {
        refused += usize::from(login(&app, written, "a guess").await.0 == 429);
    }
    assert_eq!(refused, 2);
    for (count, written) in forms.iter().enumerate() {
        let (status, body) = app.open("forgot-password", json!({ "email": written })).await;
        assert_eq!(status.as_u16(), if count < 3 { 202 } else { 429 }, "{body}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_way_in_refuses_what_is_no_address(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let (_, me) = app.call(&owner, Method::GET, "auth/me", Value::Null).await;
    let tenant = format!("tenants/{}", me["tenants"][0]["tenant_id"].as_str().unwrap());
    for email in ["a,b@c.example", "<a@c.example>", "a..b@c.example", "a@c..example", "a@c\u{202e}d.example", "a@b"] {
        let register = json!({ "name": "A", "email": email, "password": PASSWORD, "organization_name": "A" });
        assert_problem(&app.open("register", register).await, 422, "bad_email");
        let invite = json!({ "email": email, "role": "member" });
        let path = format!("{tenant}/invitations");
        assert_problem(&app.call(&owner, Method::POST, &path, invite).await, 422, "bad_email");
        let settings = app.call(&owner, Method::PATCH, &tenant, json!({ "email": email })).await;
        assert_problem(&settings, 422, "bad_email");
        let another = app.call(&owner, Method::POST, "tenants", json!({ "name": "B", "email": email })).await;
        assert_problem(&another, 422, "bad_email");
        let (code, _) = app.try_admin(&["remove-operator", "--email", email]).await;
        assert_ne!(code, Some(0), "{email}");
    }
}
