//! `attached_media`: the staged pictures of a post.

use serde_json::Value;

use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::world::World;

const NAME: &str = "attached_media";
/// Graph's subcode for pictures that another post has used.
const ALREADY_POSTED: u32 = 1_366_051;

/// Returns the ids of the staged pictures that a call attaches, in order. The parameter is
/// `attached_media[0]={"media_fbid":"1"}`, or a list.
pub(crate) fn attached_media(world: &World, call: &Call, page_id: &str) -> Result<Vec<String>, GraphError> {
    let mut items = Vec::new();
    for (name, text) in call.params.with_prefix(NAME) {
        let value: Value = serde_json::from_str(text).map_err(|_| malformed())?;
        if name != NAME {
            items.push((position(name).ok_or_else(malformed)?, value));
        } else if let Value::Array(list) = value {
            items.extend((0..).zip(list));
        } else {
            return Err(malformed());
        }
    }
    items.sort_by_key(|(at, _)| *at);
    let mut ids = Vec::new();
    for (_, item) in items {
        let id = media_id(&item).ok_or_else(malformed)?;
        check(world, page_id, &id)?;
        if ids.contains(&id) {
            return Err(already_posted());
        }
        ids.push(id);
    }
    Ok(ids)
}

/// Returns the number in `attached_media[3]`.
fn position(name: &str) -> Option<usize> {
    name.strip_prefix(NAME)?.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn media_id(item: &Value) -> Option<String> {
    match item.get("media_fbid")? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn check(world: &World, page_id: &str, id: &str) -> Result<(), GraphError> {
    let photo = world.ledger.photos.find(id).filter(|photo| !photo.deleted && photo.page_id == page_id);
    match photo {
        None => Err(GraphError::invalid(&format!("Param {NAME} names a photo that does not exist: {id}"))),
        Some(photo) if !photo.is_orphan() => Err(already_posted()),
        Some(_) => Ok(()),
    }
}

fn malformed() -> GraphError {
    GraphError::invalid(&format!("Param {NAME} must be a list of objects with media_fbid"))
}

fn already_posted() -> GraphError {
    GraphError::new(100, "(#100) These photos were already posted.").subcode(ALREADY_POSTED)
}
