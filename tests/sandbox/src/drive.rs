//! A drive whose refresh tokens work once: each refresh returns the next one. If a used one comes
//! back, the drive takes it for stolen and ends the whole grant. Source: OAuth 2.0 Security Best
//! Current Practice (RFC 9700), "Refresh Token Protection".

use chrono::{DateTime, TimeDelta, Utc};
use poem::http::StatusCode;
use poem::{Body, Request, Response, handler};
use serde::Serialize;
use serde_json::json;

use crate::identity::{Handle, bearer, json, nowhere, serve};
use crate::operation::Operation;
use crate::params::Params;
use crate::provider::Incoming;
use crate::tokens::random_text;

const APP_ID: &str = "drive-sandbox-app";
const APP_SECRET: &str = "drive-sandbox-secret";
/// The life of an access token.
const LIFE_SECONDS: i64 = 3_600;

/// A grant of one person, with the tokens that are valid.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Grant {
    pub(crate) subject: String,
    /// Every refresh token so far; the last one is the valid one.
    #[serde(skip)]
    refresh_tokens: Vec<String>,
    /// The access tokens, each with its end.
    #[serde(skip)]
    access_tokens: Vec<(String, DateTime<Utc>)>,
    /// The number of refreshes that succeeded.
    pub(crate) refreshes: usize,
    /// True if a used refresh token came back, or if the person ended the grant.
    pub(crate) is_ended: bool,
}

/// All grants of a world.
#[derive(Debug, Default)]
pub(crate) struct Grants(Vec<Grant>);

/// The tokens that a person's program gets.
#[derive(Debug, Serialize)]
pub(crate) struct Issued {
    subject: String,
    access_token: String,
    refresh_token: String,
}

impl Grant {
    fn issue(&mut self, until: DateTime<Utc>) -> Issued {
        let (access_token, refresh_token) = (format!("da.{}", random_text(60)), format!("dr.{}", random_text(60)));
        self.access_tokens.push((access_token.clone(), until));
        self.refresh_tokens.push(refresh_token.clone());
        Issued { subject: self.subject.clone(), access_token, refresh_token }
    }
}

impl Grants {
    /// Makes grants of new people. Their access tokens end after `seconds`.
    pub(crate) fn make(&mut self, now: DateTime<Utc>, count: usize, seconds: i64) -> Vec<Issued> {
        let first = self.0.len();
        let new = (first..first + count).map(|number| Grant {
            subject: format!("drive-{number}"),
            refresh_tokens: Vec::new(),
            access_tokens: Vec::new(),
            refreshes: 0,
            is_ended: false,
        });
        self.0.extend(new);
        self.0[first..].iter_mut().map(|grant| grant.issue(now + TimeDelta::seconds(seconds))).collect()
    }

    /// Returns every grant, oldest first.
    pub(crate) fn all(&self) -> &[Grant] {
        &self.0
    }

    /// Ends all grants, as people do who remove the app.
    pub(crate) fn end_all(&mut self) {
        self.0.iter_mut().for_each(|grant| grant.is_ended = true);
    }

    /// Exchanges a refresh token for the next tokens.
    fn refresh(&mut self, now: DateTime<Utc>, refresh_token: &str) -> Option<Issued> {
        let grant = self.0.iter_mut().find(|grant| grant.refresh_tokens.iter().any(|one| one == refresh_token))?;
        let is_valid = grant.refresh_tokens.last().is_some_and(|last| last == refresh_token);
        grant.is_ended |= !is_valid;
        if grant.is_ended {
            return None;
        }
        grant.refreshes += 1;
        Some(grant.issue(now + TimeDelta::seconds(LIFE_SECONDS)))
    }

    /// Returns the person of an access token that is valid.
    fn subject(&self, now: DateTime<Utc>, access_token: &str) -> Option<&str> {
        let has =
            |grant: &&Grant| grant.access_tokens.iter().any(|(token, until)| token == access_token && now < *until);
        self.0.iter().filter(|grant| !grant.is_ended).find(has).map(|grant| grant.subject.as_str())
    }
}

/// Handles everything under `/{world}/drive`.
#[handler]
pub(crate) async fn serve_drive(request: &Request, body: Body) -> Response {
    serve(request, body, route).await
}

fn route(method: &str, path: &[&str]) -> (Operation, Handle) {
    match (method, path) {
        ("POST", ["token"]) => (Operation::DriveToken, token),
        ("GET", ["me"]) => (Operation::DriveUser, me),
        _ => (Operation::Unknown, nowhere),
    }
}

fn token(incoming: &Incoming, params: &Params) -> Response {
    let refused = |status, error: &str| json(status, &json!({ "error": error }));
    if params.get("client_id") != Some(APP_ID) || params.get("client_secret") != Some(APP_SECRET) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    if params.get("grant_type") != Some("refresh_token") {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let mut world = incoming.world.lock();
    let now = world.now();
    let Some(issued) = world.drive.refresh(now, params.get("refresh_token").unwrap_or_default()) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let Issued { access_token, refresh_token, .. } = issued;
    let answer = json!({
        "token_type": "Bearer", "expires_in": LIFE_SECONDS, "access_token": access_token, "refresh_token": refresh_token,
    });
    json(StatusCode::OK, &answer)
}

fn me(incoming: &Incoming, _: &Params) -> Response {
    let world = incoming.world.lock();
    match bearer(&incoming.headers).and_then(|token| world.drive.subject(world.now(), token)) {
        Some(subject) => json(StatusCode::OK, &json!({ "id": subject })),
        None => json(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_token" })),
    }
}
