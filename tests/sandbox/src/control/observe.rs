//! The endpoints that observe a world: the ledger, the calls, the tokens.

use poem::http::StatusCode;
use poem::web::{Json, Path};
use poem::{IntoResponse, Response, handler};
use serde_json::{Value, json};

use crate::control::{InWorld, answer};
use crate::ledger::Effect;
use crate::meta::proof;
use crate::world::World;

/// Returns 200 while the sandbox runs.
#[handler]
pub(super) fn health(_: InWorld) -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Returns the app, the people, the switches and the clock.
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

/// Lists everything that calls published, in order.
#[handler]
pub(super) fn effects(InWorld(world): InWorld) -> Json<Value> {
    let world = world.lock();
    let effects: Vec<&Effect> = world.ledger.all().iter().filter(|effect| !effect.is_planted()).collect();
    Json(json!({"items": effects}))
}

/// Lists every received picture, and counts those that were staged and neither used nor deleted.
#[handler]
pub(super) fn list_photos(InWorld(world): InWorld) -> Json<Value> {
    let world = world.lock();
    let photos = world.ledger.photos.all();
    let orphans = photos.iter().filter(|photo| photo.is_orphan()).count();
    Json(json!({"items": photos, "orphans": orphans}))
}

/// Returns the bytes of a received picture.
#[handler]
pub(super) fn photo_bytes(InWorld(world): InWorld, Path((_, id)): Path<(String, String)>) -> Response {
    picture_answer(&world.lock(), Some(&id))
}

/// Returns the bytes of the first picture of a post.
#[handler]
pub(super) fn effect_picture(InWorld(world): InWorld, Path((_, seq)): Path<(String, u64)>) -> Response {
    let world = world.lock();
    let effect = world.ledger.all().iter().find(|effect| effect.seq == seq);
    picture_answer(&world, effect.and_then(|effect| effect.photo_id.as_deref()))
}

fn picture_answer(world: &World, id: Option<&str>) -> Response {
    match id.and_then(|id| world.ledger.photos.bytes(id)) {
        Some((picture, bytes)) => bytes.with_content_type(picture.format.media_type()).into_response(),
        None => answer(StatusCode::NOT_FOUND, &json!({"error": "no such picture"})),
    }
}

/// Lists the requests to the world.
#[handler]
pub(super) fn calls(InWorld(world): InWorld) -> Json<Value> {
    Json(json!(world.lock().calls))
}

/// Lists the tokens that were minted, without their values.
#[handler]
pub(super) fn tokens(InWorld(world): InWorld) -> Json<Value> {
    Json(json!({"items": world.lock().tokens.all()}))
}

/// Returns the fields of each Page whose events the app gets.
#[handler]
pub(super) fn subscriptions(InWorld(world): InWorld) -> Json<Value> {
    Json(json!(world.lock().subscriptions))
}

/// Lists the grants at the drive, without their tokens.
#[handler]
pub(super) fn grants(InWorld(world): InWorld) -> Json<Value> {
    Json(json!({"items": world.lock().drive.all()}))
}

/// Lists the secrets that were handed out: tokens with their proofs, and codes.
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
