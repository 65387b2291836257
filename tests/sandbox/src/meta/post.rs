//! `{post}` and `{photo}`: reads or deletes one post or picture.

use serde_json::{Value, json};

use crate::meta::access::{caller, check_may_publish, check_may_read, page_token_required};
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::meta::fields::named;
use crate::meta::node::{view_photo, view_post};
use crate::tokens::Token;
use crate::world::World;

/// Reads one post, or one picture by its own id.
pub(crate) fn read(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, _) = owner(world, call)?;
    check_may_read(world, &token)?;
    let fields = call.fields()?;
    if let Some(effect) = world.ledger.post(call.subject()) {
        let fields = fields.unwrap_or_else(|| named(&["created_time", "message", "id"]));
        return view_post(world, call, effect, &fields);
    }
    let photo = world.ledger.photo(call.subject()).ok_or_else(|| missing(call))?;
    view_photo(world, call, photo, &fields.unwrap_or_else(|| named(&["created_time", "name", "id"])))
}

/// Deletes one post or picture.
pub(crate) fn delete(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, page_id) = owner(world, call)?;
    check_may_publish(world, &token, &page_id)?;
    let deleted = world.ledger.delete(call.subject());
    if deleted { Ok(json!({"success": true})) } else { Err(missing(call)) }
}

/// Returns the token of a call and the Page of its post. Another Page's post counts as missing.
fn owner(world: &mut World, call: &Call) -> Result<(Token, String), GraphError> {
    let token = caller(world, call)?;
    let page_id = world.ledger.page_of(call.subject()).map(str::to_owned);
    match (&token.page_id, page_id) {
        (None, Some(_)) => Err(page_token_required()),
        (Some(own), Some(page_id)) if *own == page_id => Ok((token, page_id)),
        (Some(_), Some(_)) | (_, None) => Err(missing(call)),
    }
}

fn missing(call: &Call) -> GraphError {
    GraphError::missing_object(&call.method, call.subject())
}
