//! `subscribed_apps`: the app gets a Page's events.

use serde_json::{Value, json};

use crate::meta::access::page_caller;
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::world::World;

/// The fields of Pages that this sandbox knows.
const FIELDS: [&str; 5] = ["feed", "mention", "messages", "name", "ratings"];

/// Subscribes the app to fields of a Page, in place of those before.
pub(crate) fn subscribe(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, page_id) = page_caller(world, call, call.subject())?;
    if !world.grants(&token.user_id, "pages_manage_metadata") {
        return Err(GraphError::missing_permission("To subscribe, the app needs pages_manage_metadata"));
    }
    let fields: Vec<String> = call.required("subscribed_fields")?.split(',').map(str::to_owned).collect();
    if let Some(at) = fields.iter().position(|field| !FIELDS.contains(&field.as_str())) {
        let known = FIELDS.join(", ");
        return Err(GraphError::invalid(&format!("Param subscribed_fields[{at}] must be one of {{{known}}}")));
    }
    world.subscriptions.insert(page_id, fields);
    Ok(json!({"success": true}))
}
