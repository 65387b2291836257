//! Writes that name an `Idempotency-Key`: one effect however often they arrive.
//!
//! The key is claimed in its own transaction before the operation runs
//! ([`jobs::idempotency`]). The operation's transaction keeps the response and commits
//! ([`crate::database::WriteTx::answer`]), so that either both exist or neither. An operation
//! continues to its end even if its caller disconnects. If its process dies, the key can be claimed
//! again after ten seconds.

#![expect(clippy::disallowed_methods, reason = "a key is claimed in a transaction of its own")]

mod answer;
mod held_key;

use std::{sync::Arc, time::Duration};

use jobs::{
    engine::Scope,
    idempotency::store::{self, Known},
};
use poem::{Endpoint, IntoResponse as _, Request, Response, http::HeaderName};
use uuid::Uuid;

pub(crate) use self::{answer::Answer, held_key::HeldKey};
use super::{fingerprint, operations::Operations};
use crate::{
    ApiError,
    auth::{Identity, TENANT_HEADER},
    error::{self, ErrorCode},
    state::AppState,
};

/// The header with the client's name for a request.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of a response that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The most time that an operation may take.
const LONGEST_RUN: Duration = Duration::from_mins(1);

/// Runs the operation, or returns the response that the same request had before.
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
        tenant_id: identity.tenant_of_key(request.uri().path()),
        caller_id: identity.actor.id,
        key_sha256: key_sha256(&request, &key),
        request_sha256: in_named_tenant(&request, request_sha256),
    };
    match claim(&state, &asked, &identity).await {
        Ok(Claim::Held(id)) => {
            let (db, keyring) = (state.db.unkeyed().clone(), state.services.keyring.clone());
            run(endpoint, request, HeldKey::new(db, keyring, asked, id)).await
        }
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

/// Adds the tenant that the header names. The same request for another tenant is a different one.
fn in_named_tenant(request: &Request, sha256: Vec<u8>) -> Vec<u8> {
    match request.headers().get(TENANT_HEADER) {
        Some(named) => fingerprint::digest([sha256.as_slice(), named.as_bytes()]),
        None => sha256,
    }
}

enum Claim {
    Held(Uuid),
    Answered(Response),
}

async fn claim(state: &AppState, asked: &store::Request, identity: &Identity) -> Result<Claim, ApiError> {
    let mut tx = state.db.unkeyed().begin(Scope::of(asked.tenant_id)).await?;
    if let Some(id) = store::claim(&mut tx, asked).await? {
        tx.commit().await?;
        return Ok(Claim::Held(id));
    }
    // A second statement sees the rows that the claim waited for.
    let known = store::find(&mut tx, asked).await?;
    tx.commit().await?;
    match known {
        Some(known) if known.request_sha256 != asked.request_sha256 => Err(ApiError::unprocessable(
            ErrorCode::IdempotencyKeyReused,
            "Idempotency-Key: another request used this key within 24 hours. Use a new key for each request.",
        )),
        Some(Known { id, answer: Some((status, kept)), .. }) => {
            let (answer, checks) =
                held_key::read(&state.services.keyring, (asked.tenant_id, id), (status, kept.as_str()))?;
            checks.hold_for(identity)?;
            Ok(Claim::Answered(answer.with_header(REPLAYED, "true").into_response()))
        }
        Some(Known { answer: None, .. }) | None => Err(ApiError::in_flight()),
    }
}

/// Runs the operation in its own task, so that it continues if its caller disconnects.
async fn run<E: Endpoint + 'static>(endpoint: Arc<E>, mut request: Request, key: HeldKey) -> poem::Result<Response> {
    let work = tokio::spawn(async move {
        let key = Arc::new(key);
        request.extensions_mut().insert(key.clone());
        let response = tokio::select! {
            response = tokio::time::timeout(LONGEST_RUN, endpoint.call(request)) => response,
            never = key.renew() => never,
        };
        let response = match response {
            Ok(Ok(response)) => response.into_response(),
            Ok(Err(error)) => error::from_framework(error),
            Err(_) => ApiError::took_too_long().into_response(),
        };
        settle(&key, response).await
    });
    work.await.map_err(|error| poem::Error::from(ApiError::internal(error)))
}

/// Gives the key its response or frees it. The response's other headers stay.
async fn settle(key: &HeldKey, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let body = body.into_bytes().await.unwrap_or_default();
    let answer = Answer::copied(&parts, &body);
    key.settle(&answer).await;
    Response::from_parts(parts, body.into())
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
