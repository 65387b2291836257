//! Writes that name an `Idempotency-Key`: one effect however often they arrive.
//!
//! The key is taken in a transaction of its own before the operation runs, and the answer is kept in another one after it. The
//! operation runs to its end also if its caller goes away, so that who comes back gets the answer. If the process dies in between,
//! the key is free after [`LOCK`], and the request runs again: whether it had an effect then only its own rows could say.

use std::{sync::Arc, time::Duration};

use jobs::{
    engine::Scope,
    idempotency::{
        LOCK,
        store::{self, Known},
    },
    ids::TenantId,
    secrets::SecretLocation,
};
use poem::{
    Endpoint, IntoResponse as _, Request, Response,
    http::{HeaderName, StatusCode, header},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{fingerprint, operations::Operations};
use crate::{
    ApiError,
    auth::Identity,
    error::{self, ErrorCode},
    state::AppState,
};

/// The caller's name for a request.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An operation may run for so long; its key is held for longer.
const LONGEST_RUN: Duration = Duration::from_mins(1);
const _: () = assert!(LONGEST_RUN.as_secs() < LOCK.as_secs());

/// Runs the operation, or answers what the same request was answered before.
pub(crate) async fn once<E: Endpoint + 'static>(
    endpoint: Arc<E>,
    mut request: Request,
    (operations, state): (Arc<Operations>, AppState),
) -> poem::Result<Response> {
    let operation = operations.find(request.method(), request.uri().path());
    let takes_key = operation.is_some_and(|operation| operation.takes_key);
    let identity = request.extensions().get::<Arc<Identity>>().cloned();
    let (Some(key), Some(identity), true) = (request.headers().get(KEY), identity, takes_key) else {
        return endpoint.call(request).await.map(poem::IntoResponse::into_response);
    };
    let Some(key) = key.to_str().ok().filter(|key| is_key(key)).map(str::to_owned) else {
        let detail = "Idempotency-Key: it should be 1 to 255 visible ASCII characters, such as a UUID.";
        return Ok(ApiError::bad_request(ErrorCode::BadIdempotencyKey, detail).into_response());
    };
    let request_sha256 = fingerprint::of(&mut request).await?;
    let asked = store::Request {
        tenant_id: identity.counted_tenant(request.uri().path()).map_or(TenantId::SYSTEM, |(tenant_id, _)| tenant_id),
        caller_id: identity.actor.id,
        key_sha256: key_sha256(&request, &key),
        request_sha256,
    };
    match claim(&state, &asked).await {
        Ok(Claim::Held(id)) => run(endpoint, request, Held { state, asked, id }).await,
        Ok(Claim::Answered(answer)) => Ok(answer),
        Err(refused) => Ok(refused.into_response()),
    }
}

fn is_key(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

fn key_sha256(request: &Request, key: &str) -> Vec<u8> {
    fingerprint::digest([request.method().as_str().as_bytes(), request.uri().path().as_bytes(), key.as_bytes()])
}

/// A key that this request holds.
struct Held {
    state: AppState,
    asked: store::Request,
    id: Uuid,
}

enum Claim {
    Held(Uuid),
    Answered(Response),
}

async fn claim(state: &AppState, asked: &store::Request) -> Result<Claim, ApiError> {
    let mut tx = state.db.begin(Scope::of(asked.tenant_id)).await?;
    if let Some(id) = store::claim(&mut tx, asked).await? {
        tx.commit().await?;
        return Ok(Claim::Held(id));
    }
    // A statement of its own sees what the claim has waited for.
    let known = store::find(&mut tx, asked).await?;
    tx.commit().await?;
    match known {
        Some(known) if known.request_sha256 != asked.request_sha256 => Err(ApiError::unprocessable(
            ErrorCode::IdempotencyKeyReused,
            "Idempotency-Key: another request used this one within 24 hours. Take a new one for each request.",
        )),
        Some(Known { id, answer: Some((status, answer)), .. }) => {
            replay(state, asked, id, status, &answer).map(Claim::Answered)
        }
        Some(Known { answer: None, .. }) | None => Err(ApiError::in_flight()),
    }
}

/// In a task of its own: a caller that goes away does not stop it.
async fn run<E: Endpoint + 'static>(endpoint: Arc<E>, request: Request, held: Held) -> poem::Result<Response> {
    let work = tokio::spawn(async move {
        let response = match tokio::time::timeout(LONGEST_RUN, endpoint.call(request)).await {
            Ok(Ok(response)) => response.into_response(),
            Ok(Err(error)) => error::from_framework(error, &[]),
            Err(_) => ApiError::took_too_long().into_response(),
        };
        held.settle(response).await
    });
    work.await.map_err(|error| poem::Error::from(ApiError::internal(error)))
}

impl Held {
    /// Keeps the answer if the request did something, or can be answered nothing else; else frees the key.
    async fn settle(self, response: Response) -> Response {
        let status = response.status();
        let (parts, body) = response.into_parts();
        let body = body.into_bytes().await.unwrap_or_default();
        let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let answer = std::str::from_utf8(&body).ok().filter(|_| is_final(status)).map(|body| {
            json!({ "content_type": text(header::CONTENT_TYPE), "location": text(header::LOCATION), "body": body })
        });
        let kept = match (answer, i16::try_from(status.as_u16())) {
            (Some(answer), Ok(status)) => self.keep(status, &answer).await,
            (None, _) | (_, Err(_)) => self.free().await,
        };
        if let Err(error) = kept {
            // The effect is there. Until the lock ends who repeats the request is told that it runs.
            tracing::warn!(%error, "an answer could not be kept for its Idempotency-Key");
        }
        Response::from_parts(parts, body.into())
    }

    async fn keep(&self, status: i16, answer: &Value) -> Result<(), sqlx::Error> {
        let secret = SecretString::from(answer.to_string());
        let envelope = self.state.services.keyring.encrypt(place(&self.asked, self.id), &secret);
        let mut tx = self.state.db.begin(Scope::of(self.asked.tenant_id)).await?;
        store::mark_answered(&mut tx, &self.asked, self.id, status, &envelope).await?;
        tx.commit().await
    }

    async fn free(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.state.db.begin(Scope::of(self.asked.tenant_id)).await?;
        store::delete(&mut tx, &self.asked, self.id).await?;
        tx.commit().await
    }
}

/// Whether a request would be answered so again. A failure had no effect; and what cannot be done in the state that things are in
/// may be possible the next time.
fn is_final(status: StatusCode) -> bool {
    let may_change =
        [StatusCode::FORBIDDEN, StatusCode::REQUEST_TIMEOUT, StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !may_change.contains(&status)
}

fn replay(
    state: &AppState,
    asked: &store::Request,
    id: Uuid,
    status: i16,
    envelope: &str,
) -> Result<Response, ApiError> {
    let answer = state.services.keyring.decrypt(place(asked, id), envelope).map_err(ApiError::internal)?;
    let answer: Value = serde_json::from_str(answer.expose_secret()).map_err(ApiError::internal)?;
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or_default();
    let mut response = Response::builder().status(status).header(REPLAYED, "true");
    for (name, field) in [(header::CONTENT_TYPE, "content_type"), (header::LOCATION, "location")] {
        if let Some(value) = answer[field].as_str() {
            response = response.header(name, value);
        }
    }
    Ok(response.body(answer["body"].as_str().unwrap_or_default().to_owned()))
}

fn place(asked: &store::Request, id: Uuid) -> SecretLocation {
    SecretLocation { table: "idempotency_keys", column: "answer", tenant_id: asked.tenant_id, row_id: id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii() {
        assert!(is_key("a") && is_key(&"k".repeat(255)));
        for wrong in ["", " ", "a b", "é", "a\tb", &"k".repeat(256)] {
            assert!(!is_key(wrong), "{wrong:?}");
        }
    }
}
