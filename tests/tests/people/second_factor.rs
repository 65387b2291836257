//! Tests of signing in with a second factor.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    TestApp,
    people::{App, PASSWORD, SignedIn},
};

use super::{assert_problem, login};

/// The time after which an app shows another code that is taken.
pub(super) const NEXT_CODE: Duration = Duration::from_secs(30);

/// A person with a second factor, whose app shows a code that was not used.
pub(super) async fn person(app: &mut TestApp, email: &str) -> (SignedIn, App) {
    let who = app.person(email).await;
    let factor = app.enrol(&who).await;
    app.shift_clock(NEXT_CODE);
    (who, factor)
}

/// Signs in up to the code.
pub(super) async fn first_step(app: &TestApp, email: &str) -> String {
    let (status, pending) = login(app, email, PASSWORD).await;
    assert_eq!(status, 202, "{pending}");
    assert!(pending.get("access_token").is_none(), "{pending}");
    pending["sign_in_token"].as_str().unwrap().to_owned()
}

pub(super) async fn second_step(app: &TestApp, pending: &str, code: &str) -> (StatusCode, Value) {
    app.open("login/code", json!({ "sign_in_token": pending, "code": code })).await
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_with_a_second_factor_signs_in_by_password_and_code(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let elsewhere = app.sign_in("ada@example.com", PASSWORD).await;
    let wrong = json!({ "password": "not the password" });
    let refused = app.call(&ada, Method::POST, "auth/me/second-factor", wrong).await;
    assert_problem(&refused, 403, "password_needed");
    let unbegun = app.call(&ada, Method::POST, "auth/me/second-factor/confirm", json!({ "code": "123456" })).await;
    assert_problem(&unbegun, 409, "no_second_factor");
    let factor = app.enrol(&ada).await;
    assert_eq!(factor.recovery_codes.len(), 10);
    let (status, _) = app.call(&elsewhere, Method::GET, "auth/me", Value::Null).await;
    assert_eq!(status, 401, "other sessions end");
    let again = app.call(&ada, Method::POST, "auth/me/second-factor", json!({ "password": PASSWORD })).await;
    assert_problem(&again, 409, "second_factor_exists");
    let (_, standing) = app.call(&ada, Method::GET, "auth/me/second-factor", Value::Null).await;
    assert_eq!((&standing["recovery_codes_left"], &standing["is_required"]), (&json!(10), &json!(false)), "{standing}");

    app.shift_clock(NEXT_CODE);
    let pending = first_step(&app, "ada@example.com").await;
    assert_problem(&second_step(&app, &pending, "000000").await, 422, "wrong_code");
    let code = app.shown(&factor.secret).await;
    let (status, tokens) = second_step(&app, &pending, &format!(" {} {} ", &code[..3], &code[3..])).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(app.call(&SignedIn::of(&tokens), Method::GET, "auth/me", Value::Null).await.0, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_factor_that_was_never_confirmed_asks_for_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let begin = async || app.call(&ada, Method::POST, "auth/me/second-factor", json!({ "password": PASSWORD })).await.1;
    let (first, second) = (begin().await, begin().await);
    app.sign_in("ada@example.com", PASSWORD).await;
    let confirm = async |secret: &Value| {
        let code = json!({ "code": app.shown(secret["secret"].as_str().unwrap()).await });
        app.call(&ada, Method::POST, "auth/me/second-factor/confirm", code).await
    };
    assert_problem(&confirm(&first).await, 422, "wrong_code");
    assert_eq!(confirm(&second).await.0, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_code_is_good_once_and_for_its_person_only(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (_, adas) = person(&mut app, "ada@example.com").await;
    let (_, bobs) = person(&mut app, "bob@example.com").await;
    let code = app.shown(&adas.secret).await;
    let (first, second) = (first_step(&app, "ada@example.com").await, first_step(&app, "ada@example.com").await);
    let of_another = app.shown(&bobs.secret).await;
    assert_problem(&second_step(&app, &first, &of_another).await, 422, "wrong_code");
    assert_problem(&second_step(&app, &first, &bobs.recovery_codes[0]).await, 422, "wrong_code");
    assert_eq!(second_step(&app, &first, &code).await.0, 200);
    assert_problem(&second_step(&app, &second, &code).await, 422, "wrong_code");
    app.shift_clock(NEXT_CODE);
    let next = app.shown(&adas.secret).await;
    assert_problem(&second_step(&app, &first, &next).await, 422, "sign_in_expired");
    assert_eq!(second_step(&app, &second, &next).await.0, 200, "what the finished sign-in refused was not used up");
}

#[sqlx::test(migrations = "../migrations")]
async fn of_many_at_once_with_one_code_one_gets_in(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (_, factor) = person(&mut app, "ada@example.com").await;
    for code in [app.shown(&factor.secret).await, factor.recovery_codes[0].clone()] {
        let (first, second) = (first_step(&app, "ada@example.com").await, first_step(&app, "ada@example.com").await);
        let one = second_step(&app, &first, &code);
        let other = second_step(&app, &second, &code);
        let same = second_step(&app, &first, &code);
        let (one, other, same) = futures_util::join!(one, other, same);
        let good = [&one, &other, &same].into_iter().filter(|(status, _)| *status == 200).count();
        assert_eq!(good, 1, "{one:?} {other:?} {same:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn recovery_codes_are_good_once_and_new_ones_void_the_old(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (ada, factor) = person(&mut app, "ada@example.com").await;
    let with =
        async |app: &TestApp, code: &str| second_step(app, &first_step(app, "ada@example.com").await, code).await;
    assert_eq!(with(&app, &factor.recovery_codes[0].to_uppercase()).await.0, 200);
    assert_problem(&with(&app, &factor.recovery_codes[0]).await, 422, "wrong_code");
    let renew = async |app: &TestApp, password: &str, code: &str| {
        let body = json!({ "password": password, "code": code });
        app.call(&ada, Method::POST, "auth/me/second-factor/recovery-codes", body).await
    };
    let code = app.shown(&factor.secret).await;
    assert_problem(&renew(&app, "not the password", &code).await, 403, "password_needed");
    assert_problem(&renew(&app, PASSWORD, &factor.recovery_codes[0]).await, 422, "wrong_code");
    let (status, renewed) = renew(&app, PASSWORD, &code).await;
    assert_eq!(status, 200, "{renewed}");
    assert_problem(&with(&app, &factor.recovery_codes[1]).await, 422, "wrong_code");
    assert_eq!(with(&app, renewed["recovery_codes"][0].as_str().unwrap()).await.0, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn guesses_of_codes_are_few_and_keep_nobody_else_out(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (_, factor) = person(&mut app, "ada@example.com").await;
    let (_, bobs) = person(&mut app, "bob@example.com").await;
    for _ in 0..5 {
        let pending = first_step(&app, "ada@example.com").await;
        assert_problem(&second_step(&app, &pending, "000000").await, 422, "wrong_code");
    }
    let pending = first_step(&app, "ada@example.com").await;
    let code = app.shown(&factor.secret).await;
    assert_problem(&second_step(&app, &pending, &code).await, 429, "too_many_tries");
    let of_bob = first_step(&app, "bob@example.com").await;
    assert_eq!(second_step(&app, &of_bob, &app.shown(&bobs.secret).await).await.0, 200);
    for nonsense in ["", "nonsense", &"A".repeat(86)] {
        assert_problem(&second_step(&app, nonsense, &code).await, 422, "sign_in_expired");
    }
    app.shift_clock(Duration::from_mins(5));
    let code = app.shown(&factor.secret).await;
    assert_eq!(second_step(&app, &pending, &code).await.0, 200, "one guess more after five minutes");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_sign_in_waits_ten_minutes_for_its_code_and_ends_with_a_new_password(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (_, factor) = person(&mut app, "ada@example.com").await;
    let late = first_step(&app, "ada@example.com").await;
    app.shift_clock(Duration::from_mins(10));
    let code = app.shown(&factor.secret).await;
    assert_problem(&second_step(&app, &late, &code).await, 422, "sign_in_expired");

    let pending = first_step(&app, "ada@example.com").await;
    app.open("forgot-password", json!({ "email": "ada@example.com" })).await;
    let link = app.last_code("ada@example.com", jobs::people::store::Purpose::ResetPassword).await;
    let reset = json!({ "code": link, "password": "another fine password" });
    assert_eq!(app.open("reset-password", reset).await.0, 200);
    assert_problem(&second_step(&app, &pending, &code).await, 422, "sign_in_expired");
    let (status, waits) = login(&app, "ada@example.com", "another fine password").await;
    assert_eq!(status, 202, "a new password does not go around the code: {waits}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_factor_is_removed_with_password_and_code(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (ada, factor) = person(&mut app, "ada@example.com").await;
    let remove =
        async |app: &TestApp, body: Value| app.call(&ada, Method::POST, "auth/me/second-factor/remove", body).await;
    let code = app.shown(&factor.secret).await;
    assert_problem(&remove(&app, json!({ "code": code })).await, 403, "password_needed");
    assert_problem(&remove(&app, json!({ "password": PASSWORD, "code": "000000" })).await, 422, "wrong_code");
    assert_eq!(remove(&app, json!({ "password": PASSWORD, "code": code })).await.0, 204);
    app.sign_in("ada@example.com", PASSWORD).await;
    app.shift_clock(NEXT_CODE);
    let code = app.shown(&factor.secret).await;
    assert_problem(&remove(&app, json!({ "password": PASSWORD, "code": code })).await, 409, "no_second_factor");
}
