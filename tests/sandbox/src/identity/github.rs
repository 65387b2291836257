//! GitHub. Source: "Authorizing OAuth apps", "Troubleshooting OAuth app access token request
//! errors", and the REST API.

use poem::Response;
use poem::http::{StatusCode, header};
use serde_json::{Value, json};

use crate::identity::accounts::{Account, GithubAccount};
use crate::identity::codes::{self, App, Flaw, Token};
use crate::identity::{Handle, bearer, json, nowhere, page};
use crate::operation::Operation;
use crate::params::Params;
use crate::provider::Incoming;

const APP: App = App {
    id: "github-sandbox-app",
    secret: "github-sandbox-secret",
    scopes: &["read:user", "user:email", "user"],
    code_prefix: "",
    token_prefix: "gho_",
};

/// Returns the operation and handler of an address.
pub(super) fn route(method: &str, path: &[&str]) -> (Operation, Handle) {
    match (method, path) {
        ("GET", ["login", "oauth", "authorize"]) => (Operation::GithubDialog, dialog),
        ("POST", ["login", "oauth", "access_token"]) => (Operation::GithubToken, token),
        ("GET", ["api", "user"]) => (Operation::GithubUser, user),
        ("GET", ["api", "user", "emails"]) => (Operation::GithubEmails, emails),
        _ => (Operation::Unknown, nowhere),
    }
}

fn dialog(incoming: &Incoming, params: &Params) -> Response {
    let mut world = incoming.world.lock();
    let (now, is_denied) = (world.now(), world.switches.deny_login);
    let identities = &mut world.identities;
    page(codes::check(&APP, params).map(|asked| {
        let account = Account::Github(identities.github.clone());
        if is_denied { codes::deny(asked) } else { identities.codes.agree(now, &APP, account, asked) }
    }))
}

/// Exchanges a code. Errors have the status 200 too.
fn token(incoming: &Incoming, params: &Params) -> Response {
    let mut world = incoming.world.lock();
    let now = world.now();
    let answer = match world.identities.codes.exchange(now, &APP, params) {
        Ok(token) => {
            json!({"access_token": token.value, "scope": token.scope.replace(' ', ","), "token_type": "bearer"})
        }
        Err(flaw) => {
            let (error, words) = refusal(flaw);
            json!({"error": error, "error_description": words, "error_uri": "https://docs.example.com/troubleshooting"})
        }
    };
    let wants_json = incoming.headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json");
    if wants_json {
        return json(StatusCode::OK, &answer);
    }
    let members = answer.as_object().into_iter().flatten();
    let pairs = members.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Response::builder().content_type("application/x-www-form-urlencoded; charset=utf-8").body(form)
}

fn refusal(flaw: Flaw) -> (&'static str, &'static str) {
    match flaw {
        Flaw::Client => ("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect."),
        Flaw::GrantType => ("unsupported_grant_type", "The grant_type is not one of those that exist."),
        Flaw::RedirectUri => {
            ("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application.")
        }
        Flaw::Code | Flaw::Verifier => ("bad_verification_code", "The code passed is incorrect or expired."),
    }
}

fn user(incoming: &Incoming, _: &Params) -> Response {
    api(incoming, |account, _| {
        let mut user = json!(account);
        user.as_object_mut()?.remove("emails");
        Some(user)
    })
}

fn emails(incoming: &Incoming, _: &Params) -> Response {
    api(incoming, |account, token| (token.allows("user:email") || token.allows("user")).then(|| json!(account.emails)))
}

/// Handles a call of the API. An object that the token does not give access to is not found.
fn api(incoming: &Incoming, open: impl FnOnce(&GithubAccount, &Token) -> Option<Value>) -> Response {
    if !incoming.headers.contains_key(header::USER_AGENT) {
        let words = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Response::builder().status(StatusCode::FORBIDDEN).content_type("text/html").body(words);
    }
    let world = incoming.world.lock();
    let token = bearer(&incoming.headers).and_then(|value| world.identities.codes.token(value));
    let Some((token, Account::Github(account))) = token.map(|token| (token, &token.account)) else {
        return json(StatusCode::UNAUTHORIZED, &json!({"message": "Bad credentials", "status": "401"}));
    };
    match open(account, token) {
        Some(answer) => json(StatusCode::OK, &answer),
        None => json(StatusCode::NOT_FOUND, &json!({"message": "Not Found", "status": "404"})),
    }
}
