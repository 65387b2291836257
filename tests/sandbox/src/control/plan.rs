//! The endpoints that plan failures: faults, and tokens that become invalid.

use poem::web::Json;
use poem::{Result, handler};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::{InWorld, refused};
use crate::faults::Fault;

/// The tokens to invalidate: those of a Page, or all of a person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalidation {
    page_id: Option<String>,
    user_id: Option<String>,
    subcode: u32,
}

/// Plans a fault.
#[handler]
pub(super) fn plan_fault(InWorld(world): InWorld, Json(fault): Json<Fault>) -> Result<Json<Value>> {
    let mut world = world.lock();
    world.faults.plan(fault.check().map_err(refused)?);
    Ok(Json(json!({"items": world.faults.all()})))
}

/// Lists the planned faults, spent ones included.
#[handler]
pub(super) fn faults(InWorld(world): InWorld) -> Json<Value> {
    Json(json!({"items": world.lock().faults.all()}))
}

/// Removes all faults.
#[handler]
pub(super) fn clear_faults(InWorld(world): InWorld) -> Json<Value> {
    world.lock().faults.clear();
    Json(json!({"items": []}))
}

/// Invalidates tokens from now on.
#[handler]
pub(super) fn invalidate_tokens(InWorld(world): InWorld, Json(which): Json<Invalidation>) -> Result<Json<Value>> {
    if which.page_id.is_none() && which.user_id.is_none() {
        return Err(refused("page_id or user_id is needed"));
    }
    let count = world.lock().tokens.invalidate(which.subcode, |token| {
        which.user_id.as_ref().is_none_or(|user_id| *user_id == token.user_id)
            && (which.page_id.is_none() || which.page_id == token.page_id)
    });
    Ok(Json(json!({"invalidated": count})))
}
