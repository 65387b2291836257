//! Tests of the pages, as a browser without scripts uses them.

use jobs::people::store::Purpose;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, answer, people::PASSWORD};

pub(super) async fn submit(app: &TestApp, path: &str, form: &[(&str, &str)]) -> Response {
    app.anonymous(Method::POST, path).header("origin", &app.url).form(form).send().await.unwrap()
}

pub(super) fn cookie_of(response: &Response) -> String {
    let cookies = response.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookie = cookies.into_iter().find(|cookie| cookie.starts_with("linecook_session=")).expect("a session");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_signs_up_confirms_and_signs_in_by_pages(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let sign_up = [
        ("name", "Ada <b>Lovelace"),
        ("organization_name", "Ada's \"Kitchen\""),
        ("email", "ada@example.com"),
        ("password", "short"),
    ];
    let refused = submit(&app, "/sign-up", &sign_up).await;
    assert_eq!(refused.status(), 422);
    let page = refused.text().await.unwrap();
    assert!(page.contains("role=\"alert\"") && page.contains("10 characters") && !page.contains("<b>"), "{page}");
    assert!(!page.contains("short\""), "a password is not sent back: {page}");

    let mut sign_up = sign_up;
    sign_up[3].1 = PASSWORD;
    assert_eq!(submit(&app, "/sign-up", &sign_up).await.status(), 202);
    let code = app.last_code("ada@example.com", Purpose::VerifyEmail).await;
    let link = format!("/verify-email/{code}");
    let (status, page) = answer(app.anonymous(Method::GET, &link)).await;
    assert!(status == 200 && !page.as_str().unwrap().contains(&code), "{page}");
    let sign_in = [("email", "ada@example.com"), ("password", PASSWORD)];
    assert_eq!(submit(&app, "/sign-in", &sign_in).await.status(), 403, "opening the link alone confirms nothing");
    let confirm = [("password", PASSWORD)];
    assert_eq!(submit(&app, &link, &confirm).await.status(), 200);
    assert_eq!(submit(&app, &link, &confirm).await.status(), 422);

    let signed_in = submit(&app, "/sign-in", &sign_in).await;
    assert_eq!((signed_in.status().as_u16(), &signed_in.headers()["location"]), (303, &"/home".parse().unwrap()));
    let cookie = cookie_of(&signed_in);
    let with_cookie = |request: RequestBuilder| request.header("cookie", &cookie);
    let landed = with_cookie(app.anonymous(Method::GET, "/home")).send().await.unwrap();
    let first = landed.headers()["location"].to_str().unwrap();
    let (status, home) = answer(with_cookie(app.anonymous(Method::GET, first))).await;
    assert!(status == 200 && home.as_str().unwrap().contains("Ada&#39;s"), "{home}");
    let out = with_cookie(app.anonymous(Method::POST, "/sign-out").header("origin", &app.url)).send().await.unwrap();
    assert_eq!(out.status(), 303);
    let (status, _) = answer(with_cookie(app.anonymous(Method::GET, "/home"))).await;
    assert_eq!(status, 303, "to the form for signing in");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_another_site_sends_with_the_cookie_does_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.person("ada@example.com").await;
    let sign_in = [("email", "ada@example.com"), ("password", PASSWORD)];
    let foreign = app.anonymous(Method::POST, "/sign-in").header("origin", "https://evil.example.com").form(&sign_in);
    assert_eq!(answer(foreign).await.0, 403, "nobody is signed in by another site");
    let cookie = cookie_of(&submit(&app, "/sign-in", &sign_in).await);
    let read = app.anonymous(Method::GET, "/api/v1/auth/me").header("cookie", &cookie);
    assert_eq!(answer(read).await.0, 200);
    for (origin, expected) in [(None, 401), (Some("https://evil.example.com"), 401), (Some(app.url.as_str()), 200)] {
        let request = app.anonymous(Method::PATCH, "/api/v1/auth/me").header("cookie", &cookie);
        let request = if let Some(origin) = origin { request.header("origin", origin) } else { request };
        let (status, body) = answer(request.json(&json!({ "first_name": "Ada" }))).await;
        assert_eq!(status.as_u16(), expected, "{origin:?} {body}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn links_that_are_none_say_so(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in ["/invitations/nonsense", "/verify-email/nonsense", "/reset-password/nonsense"] {
        let form = [("password", PASSWORD), ("name", "Ada")];
        let answered = submit(&app, path, &form).await;
        assert_eq!(answered.status(), 422, "{path}");
        assert!(answered.text().await.unwrap().contains("has expired"), "{path}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn cookies_are_bound_to_our_host_on_https(pool: PgPool) {
    const PUBLIC: &str = "https://linecook.example.com";
    let app = TestApp::new(pool).await;
    app.person("ada@example.com").await;
    let (_admin, url) = app.serve_apart_with(&[("PUBLIC_URL", PUBLIC)]).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let sign_in = [("email", "ada@example.com"), ("password", PASSWORD)];
    let signed_in = client.post(format!("{url}/sign-in")).header("origin", PUBLIC).form(&sign_in).send().await.unwrap();
    let begun = client.get(format!("{url}/sign-in/google")).send().await.unwrap();
    let mut session = String::new();
    for (answer, expected) in [(&signed_in, 2), (&begun, 1)] {
        let cookies: Vec<&str> =
            answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
        assert_eq!(cookies.len(), expected, "{cookies:?}");
        for cookie in cookies {
            assert!(cookie.starts_with("__Host-linecook_") && cookie.contains("Path=/;"), "{cookie}");
            assert!(cookie.contains("Secure") && cookie.contains("HttpOnly") && !cookie.contains("Domain"), "{cookie}");
            if let Some(value) = cookie.strip_prefix("__Host-linecook_session=") {
                session = value.split(';').next().unwrap().to_owned();
            }
        }
    }
    for (name, expected) in [("__Host-linecook_session", 200), ("linecook_session", 401)] {
        let request = client.get(format!("{url}/api/v1/auth/me")).header("cookie", format!("{name}={session}"));
        assert_eq!(answer(request).await.0.as_u16(), expected, "another host can set a cookie of the name {name}");
    }
}
