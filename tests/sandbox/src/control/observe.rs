//! What a test finds out: the ledger, the calls, the tokens.

use poem::http::StatusCode;
use poem::web::{Json, Path};
use poem::{IntoResponse, Response, handler};
use serde_json::{Value, json};

use crate::control::{InWorld, answer};
use crate::meta::proof;

/// Says that the sandbox works.
#[handler]
pub(super) fn health(_: InWorld) -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// The app, the people, the switches and the clock.
#[handler]
pub(super) fn state(InWorld(world): InWorld) -> Json<Value> {
    let world = world.lock();
    Json(json!({
        "app_id": world.switches.app_id,
        "app_secret": world.switches.app_secret,
        "people": world.people,
        "current": world.current,
        "switches": world.switches,
        "now": world.now(),
    }))
}

/// Everything that was published, in order.
#[handler]
pub(super) fn effects(InWorld(world): InWorld) -> Json<Value> {
    Json(json!({"items": world.lock().ledger.all()}))
}

/// The bytes of a published picture.
#[handler]
pub(super) fn picture(InWorld(world): InWorld, Path((_, seq)): Path<(String, u64)>) -> Response {
    match world.lock().ledger.picture(seq) {
        Some((picture, bytes)) => bytes.with_content_type(picture.format.media_type()).into_response(),
        None => answer(StatusCode::NOT_FOUND, &json!({"error": "no such picture"})),
    }
}

/// What the world was asked.
#[handler]
pub(super) fn calls(InWorld(world): InWorld) -> Json<Value> {
    Json(json!(world.lock().calls))
}

/// The tokens that were minted, without their values.
#[handler]
pub(super) fn tokens(InWorld(world): InWorld) -> Json<Value> {
    Json(json!({"items": world.lock().tokens.all()}))
}

/// What was handed out and must stay secret: tokens with their proofs, and codes.
#[handler]
pub(super) fn secrets(InWorld(world): InWorld) -> Json<Value> {
    let world = world.lock();
    let secret = &world.switches.app_secret;
    let handed_out: Vec<Value> = (world.tokens.all().iter())
        .map(|token| {
            json!({
                "kind": token.kind,
                "value": token.value,
                "proof": proof(secret, &token.value),
                "uses": token.uses,
            })
        })
        .collect();
    let codes: Vec<Value> =
        world.tokens.codes().iter().map(|code| json!({"value": code.value, "used": code.used})).collect();
    Json(json!({"tokens": handed_out, "codes": codes}))
}
