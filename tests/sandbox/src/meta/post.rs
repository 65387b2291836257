//! `{post}`: one post, read or taken down.

use serde_json::{Value, json};

use crate::clock::graph_time;
use crate::ledger::Effect;
use crate::meta::access::{caller, check_may_publish, check_may_read, page_token_required};
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::meta::fields::{Field, named, project};
use crate::tokens::Token;
use crate::world::World;

const FIELDS: [&str; 8] =
    ["id", "message", "created_time", "updated_time", "permalink_url", "full_picture", "is_published", "status_type"];

/// Reads one post, or one picture by its own id.
///
/// # Errors
/// The token may not, there is no such post, or a field is unknown.
pub(crate) fn read(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, _) = owner(world, call)?;
    check_may_read(world, &token)?;
    let fields = call.fields()?.unwrap_or_else(|| named(&["created_time", "message", "id"]));
    let effect = world.ledger.find(call.subject()).ok_or_else(|| missing(call))?;
    view(call, effect, &fields)
}

/// Takes one post down.
///
/// # Errors
/// The token may not, or there is no such post.
pub(crate) fn delete(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, page_id) = owner(world, call)?;
    check_may_publish(world, &token, &page_id)?;
    let deleted = world.ledger.delete(call.subject());
    if deleted { Ok(json!({"success": true})) } else { Err(missing(call)) }
}

/// A post with the wanted fields; the id is always there.
///
/// # Errors
/// A field is unknown.
pub(crate) fn view(call: &Call, effect: &Effect, fields: &[Field]) -> Result<Value, GraphError> {
    let id = effect.post_id.as_ref().or(effect.photo_id.as_ref());
    let (_, number) = id.and_then(|id| id.split_once('_')).unwrap_or_default();
    let permalink = format!("https://www.facebook.com/{}/posts/{number}", effect.page_id);
    let picture = format!("{}/control/effects/{}/picture", call.base_url, effect.seq);
    let status_type = match (&effect.picture, &effect.link) {
        (Some(_), _) => "added_photos",
        (None, Some(_)) => "shared_story",
        (None, None) => "mobile_status_update",
    };
    let mut post = project("Post", fields, |field| match field.name.as_str() {
        "id" => Some(json!(id)),
        "message" => Some(json!(effect.message)),
        "created_time" | "updated_time" => Some(json!(graph_time(effect.created_time))),
        "permalink_url" => Some(json!(permalink)),
        "full_picture" => Some(json!(effect.picture.as_ref().map(|_| &picture))),
        "is_published" => Some(json!(effect.published)),
        "status_type" => Some(json!(status_type)),
        _ => None,
    })?;
    post["id"] = json!(id);
    Ok(post)
}

/// Checks that posts have these fields, before a call has an effect.
///
/// # Errors
/// A field is unknown.
pub(crate) fn check_fields(fields: &[Field]) -> Result<(), GraphError> {
    project("Post", fields, |field| FIELDS.contains(&field.name.as_str()).then_some(Value::Null)).map(drop)
}

/// The token of a call and the Page of its post. Another Page's post is as good as none.
fn owner(world: &mut World, call: &Call) -> Result<(Token, String), GraphError> {
    let token = caller(world, call)?;
    let page_id = world.ledger.find(call.subject()).map(|effect| effect.page_id.clone());
    match (&token.page_id, page_id) {
        (None, Some(_)) => Err(page_token_required()),
        (Some(own), Some(page_id)) if *own == page_id => Ok((token, page_id)),
        (Some(_), Some(_)) | (_, None) => Err(missing(call)),
    }
}

fn missing(call: &Call) -> GraphError {
    GraphError::missing_object(&call.method, call.subject())
}
