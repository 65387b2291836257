//! Tests of signing in with Google and GitHub.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use support::{REDIRECT, World, json_of, location, query_of};

/// The verifier of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Provider {
    name: &'static str,
    dialog: &'static str,
    token: &'static str,
    scope: &'static str,
}

const GOOGLE: Provider =
    Provider { name: "google", dialog: "o/oauth2/v2/auth", token: "token", scope: "openid email profile" };
const GITHUB: Provider = Provider {
    name: "github",
    dialog: "login/oauth/authorize",
    token: "login/oauth/access_token",
    scope: "read:user user:email",
};

/// Returns the parameters with changes; an empty value removes one.
fn changed<'a>(params: &[(&'a str, String)], changes: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    let mut params = params.to_vec();
    for (name, value) in changes {
        params.retain(|(found, _)| found != name);
        params.push((name, (*value).to_owned()));
    }
    params.retain(|(_, value)| !value.is_empty());
    params
}

async fn dialog(world: &World, provider: &Provider, changes: &[(&str, &str)]) -> Response {
    let params = [
        ("client_id", format!("{}-sandbox-app", provider.name)),
        ("redirect_uri", REDIRECT.to_owned()),
        ("response_type", "code".to_owned()),
        ("state", "st&te".to_owned()),
        ("scope", provider.scope.to_owned()),
        ("code_challenge", CHALLENGE.to_owned()),
        ("code_challenge_method", "S256".to_owned()),
    ];
    let address = format!("{}/{}/{}", world.base_url, provider.name, provider.dialog);
    world.http.get(address).query(&changed(&params, changes)).send().await.unwrap()
}

async fn code(world: &World, provider: &Provider, changes: &[(&str, &str)]) -> String {
    query_of(&location(&dialog(world, provider, changes).await), "code").unwrap()
}

fn exchange(world: &World, provider: &Provider, code: &str, changes: &[(&str, &str)]) -> RequestBuilder {
    let params = [
        ("client_id", format!("{}-sandbox-app", provider.name)),
        ("client_secret", format!("{}-sandbox-secret", provider.name)),
        ("grant_type", "authorization_code".to_owned()),
        ("redirect_uri", REDIRECT.to_owned()),
        ("code_verifier", VERIFIER.to_owned()),
        ("code", code.to_owned()),
    ];
    let address = format!("{}/{}/{}", world.base_url, provider.name, provider.token);
    world.http.post(address).header("accept", "application/json").form(&changed(&params, changes))
}

async fn exchanged(world: &World, provider: &Provider, code: &str, changes: &[(&str, &str)]) -> (u16, Value) {
    let answer = exchange(world, provider, code, changes).send().await.unwrap();
    (answer.status().as_u16(), json_of(answer).await)
}

async fn token(world: &World, provider: &Provider, scope: &str) -> String {
    let code = code(world, provider, &[("scope", scope)]).await;
    exchanged(world, provider, &code, &[]).await.1["access_token"].as_str().unwrap().to_owned()
}

async fn read(world: &World, path: &str, token: &str) -> (u16, Value) {
    let request = world.http.get(format!("{}/{path}", world.base_url)).header("user-agent", "test").bearer_auth(token);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), json_of(answer).await)
}

#[tokio::test]
async fn the_page_sends_the_browser_back_or_shows_what_is_wrong() {
    let world = World::start().await;
    for provider in [GOOGLE, GITHUB] {
        let address = location(&dialog(&world, &provider, &[]).await);
        assert_eq!(query_of(&address, "state").as_deref(), Some("st&te"));
        assert!(query_of(&address, "code").is_some() && address.as_str().starts_with(REDIRECT));
        for change in [
            ("client_id", "other"),
            ("redirect_uri", "/callback"),
            ("response_type", "token"),
            ("scope", "everything"),
            ("state", ""),
            ("code_challenge_method", "plain"),
        ] {
            assert_eq!(dialog(&world, &provider, &[change]).await.status(), 400, "{change:?}");
        }
    }
    world.set("switches", json!({"deny_login": true})).await;
    let address = location(&dialog(&world, &GOOGLE, &[]).await);
    assert_eq!(query_of(&address, "error").as_deref(), Some("access_denied"));
    assert_eq!(query_of(&address, "code"), None);
}

#[tokio::test]
async fn a_code_is_good_once_for_its_app_address_and_verifier() {
    let world = World::start().await;
    for (provider, status, refusals) in [
        (GOOGLE, 400, ["invalid_grant", "redirect_uri_mismatch", "invalid_grant"]),
        (GITHUB, 200, ["bad_verification_code", "redirect_uri_mismatch", "bad_verification_code"]),
    ] {
        let code = code(&world, &provider, &[]).await;
        let client = exchanged(&world, &provider, &code, &[("client_secret", "wrong")]).await.1;
        assert!(client["error"].as_str().unwrap().contains("client"), "{client}");
        let changes = [("code_verifier", "x"), ("redirect_uri", "https://app.example/other"), ("code_verifier", "")];
        for (change, expected) in changes.into_iter().zip(refusals) {
            let (found, body) = exchanged(&world, &provider, &code, &[change]).await;
            assert_eq!((found, body["error"].as_str()), (status, Some(expected)), "{change:?}");
        }
        let (found, body) = exchanged(&world, &provider, &code, &[]).await;
        assert!(found == 200 && body["access_token"].is_string(), "{body}");
        assert_eq!(exchanged(&world, &provider, &code, &[]).await.1["error"], refusals[0], "it was used");
    }
    let code = code(&world, &GITHUB, &[]).await;
    assert_eq!(exchanged(&world, &GOOGLE, &code, &[]).await.1["error"], "invalid_grant", "another provider's");
    world.set("clock", json!({"advance_seconds": 601})).await;
    assert_eq!(exchanged(&world, &GITHUB, &code, &[]).await.1["error"], "bad_verification_code", "too late");
}

#[tokio::test]
async fn a_token_shows_what_was_granted_as_it_was_then() {
    let world = World::start().await;
    let (whole, bare) = (token(&world, &GOOGLE, GOOGLE.scope).await, token(&world, &GOOGLE, "openid").await);
    let google = json!({"sub": "7", "email": "b@example.com", "email_verified": false});
    world.set("visitor", json!({"google": google})).await;
    let (_, ada) = read(&world, "google/oauth2/v3/userinfo", &whole).await;
    assert_eq!((&ada["email"], &ada["email_verified"]), (&json!("ada.rossi@example.com"), &json!(true)));
    assert_eq!(read(&world, "google/oauth2/v3/userinfo", &bare).await.1, json!({"sub": ada["sub"]}));
    let other = token(&world, &GOOGLE, GOOGLE.scope).await;
    assert_eq!(read(&world, "google/oauth2/v3/userinfo", &other).await.1, google);
    assert_eq!(read(&world, "google/oauth2/v3/userinfo", "ya29.none").await.0, 401);

    let (whole, bare) = (token(&world, &GITHUB, GITHUB.scope).await, token(&world, &GITHUB, "read:user").await);
    let (_, ada) = read(&world, "github/api/user", &bare).await;
    assert_eq!((&ada["login"], &ada["emails"]), (&json!("adarossi"), &Value::Null));
    assert_eq!(read(&world, "github/api/user/emails", &bare).await.0, 404);
    let (_, emails) = read(&world, "github/api/user/emails", &whole).await;
    assert_eq!((&emails[1]["primary"], &emails[1]["verified"]), (&json!(true), &json!(true)));
    assert_eq!(read(&world, "github/api/user", &other).await.0, 401, "Google's");
}

#[tokio::test]
async fn github_wants_a_name_and_answers_forms_unless_asked_for_json() {
    let world = World::start().await;
    let token = token(&world, &GITHUB, GITHUB.scope).await;
    let nameless = world.http.get(format!("{}/github/api/user", world.base_url)).bearer_auth(&token);
    assert_eq!(nameless.send().await.unwrap().status(), 403);
    let code = code(&world, &GITHUB, &[]).await;
    let mut form = exchange(&world, &GITHUB, &code, &[]).build().unwrap();
    form.headers_mut().remove("accept");
    let text = world.http.execute(form).await.unwrap().text().await.unwrap();
    assert!(text.contains("access_token=gho_"), "{text}");
}
