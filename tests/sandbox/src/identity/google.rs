//! Google. Source: "`OpenID Connect`" and "Using OAuth 2.0 for Web Server Applications".

use poem::Response;
use poem::http::StatusCode;
use serde_json::json;

use crate::identity::accounts::Account;
use crate::identity::codes::{self, App, Flaw};
use crate::identity::{Handle, bearer, json, nowhere, page};
use crate::operation::Operation;
use crate::params::Params;
use crate::provider::Incoming;

const APP: App = App {
    id: "google-sandbox-app",
    secret: "google-sandbox-secret",
    scopes: &["openid", "email", "profile"],
    code_prefix: "4/0A",
    token_prefix: "ya29.a0",
};

/// Returns the operation and handler of an address.
pub(super) fn route(method: &str, path: &[&str]) -> (Operation, Handle) {
    match (method, path) {
        ("GET", ["o", "oauth2", "v2", "auth"]) => (Operation::GoogleDialog, dialog),
        ("POST", ["token"]) => (Operation::GoogleToken, token),
        ("GET", ["oauth2", "v3", "userinfo"]) => (Operation::GoogleUser, userinfo),
        _ => (Operation::Unknown, nowhere),
    }
}

fn dialog(incoming: &Incoming, params: &Params) -> Response {
    let mut world = incoming.world.lock();
    let (now, is_denied) = (world.now(), world.switches.deny_login);
    let identities = &mut world.identities;
    page(codes::check(&APP, params).map(|asked| {
        let account = Account::Google(identities.google.clone());
        if is_denied { codes::deny(asked) } else { identities.codes.agree(now, &APP, account, asked) }
    }))
}

fn token(incoming: &Incoming, params: &Params) -> Response {
    let mut world = incoming.world.lock();
    let now = world.now();
    match world.identities.codes.exchange(now, &APP, params) {
        Ok(token) => {
            let answer =
                json!({"access_token": token.value, "expires_in": 3599, "scope": token.scope, "token_type": "Bearer"});
            json(StatusCode::OK, &answer)
        }
        Err(flaw) => {
            let (status, error, words) = refusal(flaw);
            json(status, &json!({"error": error, "error_description": words}))
        }
    }
}

fn refusal(flaw: Flaw) -> (StatusCode, &'static str, &'static str) {
    match flaw {
        Flaw::Client => (StatusCode::UNAUTHORIZED, "invalid_client", "Unauthorized"),
        Flaw::GrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type", "Invalid grant_type"),
        Flaw::Code => (StatusCode::BAD_REQUEST, "invalid_grant", "Bad Request"),
        Flaw::RedirectUri => (StatusCode::BAD_REQUEST, "redirect_uri_mismatch", "Bad Request"),
        Flaw::Verifier => (StatusCode::BAD_REQUEST, "invalid_grant", "Invalid code verifier."),
    }
}

fn userinfo(incoming: &Incoming, _: &Params) -> Response {
    let world = incoming.world.lock();
    let token = bearer(&incoming.headers).and_then(|value| world.identities.codes.token(value));
    let Some((token, Account::Google(account))) = token.map(|token| (token, &token.account)) else {
        let error = json!({"error": "invalid_request", "error_description": "Invalid Credentials"});
        return json(StatusCode::UNAUTHORIZED, &error);
    };
    let mut answer = json!(account);
    let members = answer.as_object_mut().expect("an account is an object");
    if !token.allows("email") {
        members.retain(|name, _| !name.starts_with("email"));
    }
    if !token.allows("profile") {
        members.retain(|name, _| name == "sub" || name.starts_with("email"));
    }
    json(StatusCode::OK, &answer)
}
