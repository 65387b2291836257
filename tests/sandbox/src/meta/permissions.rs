//! `me/permissions`: lists and revokes the permissions that a person granted.

use serde_json::{Value, json};

use crate::meta::access::person_caller;
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::world::World;

/// The subcode of tokens whose person removed the app.
const APP_REMOVED: u32 = 458;

/// Lists every requested permission.
pub(crate) fn read(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let token = person_caller(world, call)?;
    let permissions = world.grants.get(&token.user_id).map(|grant| &grant.permissions).into_iter().flatten();
    let rows = permissions.map(|(permission, granted)| {
        let status = if *granted { "granted" } else { "declined" };
        json!({"permission": permission, "status": status})
    });
    Ok(json!({"data": rows.collect::<Vec<_>>()}))
}

/// Revokes one permission, or removes the app, which invalidates all tokens of the person.
pub(crate) fn revoke(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let token = person_caller(world, call)?;
    if let Some(permission) = call.path.get(2) {
        let grant = world.grants.get_mut(&token.user_id);
        let granted = grant.and_then(|grant| grant.permissions.get_mut(permission.as_str()));
        let unknown = || GraphError::invalid("Param permission must be one of the user's permissions");
        *granted.ok_or_else(unknown)? = false;
    } else {
        world.grants.remove(&token.user_id);
        world.tokens.invalidate(APP_REMOVED, |other| other.user_id == token.user_id);
    }
    Ok(json!({"success": true}))
}
