//! Tests of the second step of signing in with a browser.

use std::time::Duration;

use jobs::people::store::Side;
use reqwest::{Method, Response};
use sqlx::PgPool;
use tests::{TestApp, answer, people::PASSWORD};
use uuid::Uuid;

use super::{
    browser::{cookie_of, submit},
    external_login::{Visit, location, set_cookies},
    second_factor::person,
};

const ADA: &str = "ada.rossi@example.com";

/// Returns the cookie of a sign-in that waits for a code. The browser is not signed in.
fn waits(response: &Response) -> String {
    assert_eq!(location(response), "/sign-in/code");
    let cookies = set_cookies(response);
    assert!(cookies.iter().all(|cookie| !cookie.starts_with("linecook_session=")), "{cookies:?}");
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("linecook_second_step=")).expect("a cookie");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

async fn send_code(app: &TestApp, cookie: &str, code: &str) -> Response {
    let request = app.anonymous(Method::POST, "/sign-in/code").header("origin", &app.url).header("cookie", cookie);
    request.form(&[("code", code)]).send().await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_browser_is_asked_for_a_code(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (_, factor) = person(&mut app, ADA).await;
    let cookie = waits(&submit(&app, "/sign-in", &[("email", ADA), ("password", PASSWORD)]).await);
    let (status, me) = answer(app.anonymous(Method::GET, "/api/v1/auth/me").header("cookie", &cookie)).await;
    assert_eq!(status, 401, "nobody is signed in yet: {me}");
    let (status, page) = answer(app.anonymous(Method::GET, "/sign-in/code").header("cookie", &cookie)).await;
    assert!(status == 200 && page.as_str().unwrap().contains("one-time-code"), "{page}");
    let (status, _) = answer(app.anonymous(Method::GET, "/sign-in/code")).await;
    assert_eq!(status, 303, "to the form for signing in");

    let refused = send_code(&app, &cookie, "000000").await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("role=\"alert\""));
    let signed_in = send_code(&app, &cookie, &app.shown(&factor.secret).await).await;
    assert_eq!(location(&signed_in), "/home");
    let session = cookie_of(&signed_in);
    assert_eq!(answer(app.anonymous(Method::GET, "/api/v1/auth/me").header("cookie", session)).await.0, 200);
    app.shift_clock(Duration::from_secs(30));
    let again = send_code(&app, &cookie, &app.shown(&factor.secret).await).await;
    assert_eq!(again.status(), 422, "a sign-in is finished once");
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_with_a_second_factor_gives_a_code_after_a_provider_too(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (_, factor) = person(&mut app, ADA).await;
    let cookie = waits(&Visit::begin(&app, "google").await.end(&app).await);
    let signed_in = send_code(&app, &cookie, &app.shown(&factor.secret).await).await;
    assert_eq!(location(&signed_in), "/home");
    cookie_of(&signed_in);
}

async fn get_page(app: &TestApp, path: &str, cookie: &str) -> (u16, String) {
    let (status, page) = answer(app.anonymous(Method::GET, path).header("cookie", cookie)).await;
    (status.as_u16(), page.as_str().unwrap_or_default().to_owned())
}

async fn post_page(app: &TestApp, path: &str, cookie: &str, form: &[(&str, &str)]) -> (u16, String) {
    let request = app.anonymous(Method::POST, path).header("origin", &app.url).header("cookie", cookie);
    let response = request.header("accept", "text/html").form(form).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_is_led_to_set_it_up_by_pages(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.person(ADA).await;
    app.bench.execute("update users set operator_role = 'full' where $1 <> id", Uuid::nil()).await;
    let signed_in = submit(&app, "/sign-in", &[("email", ADA), ("password", PASSWORD)]).await;
    assert_eq!(location(&signed_in), "/me/second-factor");
    let cookie = cookie_of(&signed_in);
    let (status, page) = get_page(&app, "/me/second-factor", &cookie).await;
    assert!(status == 200 && page.contains("Set up an authenticator app"), "{page}");
    let home = app.anonymous(Method::GET, "/home").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(location(&home), "/me/second-factor", "nothing else is open");

    let (status, page) = post_page(&app, "/me/second-factor", &cookie, &[("password", "not the password")]).await;
    assert!(status == 403 && page.contains("role=\"alert\""), "{page}");
    let (status, page) = post_page(&app, "/me/second-factor", &cookie, &[("password", PASSWORD)]).await;
    assert!(status == 200 && page.contains("<svg"), "{page}");
    let secret = page.split("<code>").nth(1).unwrap().split("</code>").next().unwrap().replace(' ', "");
    let code = app.shown(&secret).await;
    let (status, page) = post_page(&app, "/me/second-factor/confirm", &cookie, &[("code", &code)]).await;
    assert!(status == 200 && page.matches("<li><code>").count() == 10, "{page}");
    let (status, page) = get_page(&app, "/me/second-factor", &cookie).await;
    assert!(status == 200 && page.contains("10 recovery codes left") && !page.contains(&secret), "{page}");
    assert_eq!(answer(app.anonymous(Method::GET, "/api/v1/stats").header("cookie", &cookie)).await.0, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn who_works_in_a_tenant_that_requires_it_is_led_there_too(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person(ADA).await;
    let cookie = cookie_of(&submit(&app, "/sign-in", &[("email", ADA), ("password", PASSWORD)]).await);
    let tenant = app.call(&ada, Method::GET, "auth/me", serde_json::Value::Null).await.1["current_tenant_id"].clone();
    let (tenant, path) = (tenant.as_str().unwrap(), format!("tenants/{}", tenant.as_str().unwrap()));
    let patch = serde_json::json!({ "requires_second_factor": true });
    assert_eq!(app.call(&ada, Method::PATCH, &path, patch).await.0, 200);
    let page = app.anonymous(Method::GET, &format!("/workspace?workspace={tenant}")).header("cookie", &cookie);
    let (status, page) = answer(page.header("accept", "text/html")).await;
    assert!(status == 403 && page.as_str().unwrap().contains("/me/second-factor"), "{page}");
    for path in ["/me", "/me/sign-in", "/me/second-factor"] {
        assert_eq!(get_page(&app, path, &cookie).await.0, 200, "{path}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn people_change_how_they_sign_in_by_pages(pool: PgPool) {
    const NEW: &str = "another fine password";
    let app = TestApp::new(pool).await;
    let elsewhere = app.person(ADA).await;
    let cookie = cookie_of(&submit(&app, "/sign-in", &[("email", ADA), ("password", PASSWORD)]).await);
    let tenant =
        app.call(&elsewhere, Method::GET, "auth/me", serde_json::Value::Null).await.1["current_tenant_id"].clone();
    let page = format!("/me/sign-in?workspace={}", tenant.as_str().unwrap());
    let (status, shown) = get_page(&app, &page, &cookie).await;
    assert!(status == 200 && shown.contains("this one") && shown.contains("End all others"), "{shown}");
    let foreign = app.anonymous(Method::POST, "/me/sign-in/sessions").header("origin", "https://evil.example.com");
    let refused = foreign.header("cookie", &cookie).form(&[("x", "y")]).send().await.unwrap();
    assert!([401, 403].contains(&refused.status().as_u16()), "another site ends no session");
    let wrong = [("current_password", "not the password"), ("new_password", NEW)];
    let (status, shown) = post_page(&app, "/me/sign-in/password", &cookie, &wrong).await;
    assert!(status == 403 && shown.contains("role=\"alert\"") && !shown.contains(NEW), "{shown}");
    let right = [("current_password", PASSWORD), ("new_password", NEW)];
    assert_eq!(post_page(&app, "/me/sign-in/password", &cookie, &right).await.0, 303);
    assert_eq!(app.call(&elsewhere, Method::GET, "auth/me", serde_json::Value::Null).await.0, 401);
    let address = [("email", "ada@other.example"), ("password", NEW)];
    assert_eq!(post_page(&app, "/me/sign-in/address", &cookie, &address).await.0, 303);
    for (side, words) in [(Side::Old, "One more step"), (Side::New, "Address changed")] {
        let link = format!("/confirm-address/{}", app.address_code(ADA, side).await);
        let (status, asked) = get_page(&app, &link, &cookie).await;
        assert!(status == 200 && asked.contains("Change the address?"), "{asked}");
        let (status, shown) = post_page(&app, &link, &cookie, &[]).await;
        assert!(status == 200 && shown.contains(words), "{shown}");
    }
    app.sign_in("ada@other.example", NEW).await;
    assert_eq!(post_page(&app, "/me/sign-in/sessions", &cookie, &[]).await.0, 303);
    let (_, shown) = get_page(&app, &page, &cookie).await;
    assert_eq!(shown.matches("aria-label=\"End the session").count(), 0, "{shown}");
}
