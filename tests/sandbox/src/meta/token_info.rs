//! `debug_token`: describes a token.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::meta::access::{caller, check_proof, live_token};
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::tokens::{Token, TokenKind};
use crate::world::World;

/// Describes `input_token` to the app, or to a person who uses it. A bad `input_token` gives a
/// description too, not an error.
pub(crate) fn debug_token(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let given = call.access_token().unwrap_or_default();
    let app_token = format!("{}|{}", world.switches.app_id, world.switches.app_secret);
    if given == app_token {
        check_proof(world, call, given, false)?;
    } else if given.contains('|') {
        return Err(GraphError::new(190, "Invalid OAuth access token signature."));
    } else {
        caller(world, call)?;
    }
    let data = match live_token(world, call.required("input_token")?) {
        Ok(token) => describe(world, &token),
        Err(error) => json!({"error": error.summary(), "is_valid": false, "scopes": []}),
    };
    Ok(json!({"data": data}))
}

fn describe(world: &World, token: &Token) -> Value {
    let grant = world.grants.get(&token.user_id);
    let permissions = grant.map(|grant| &grant.permissions).into_iter().flatten();
    let scopes: Vec<&String> = permissions.filter(|(_, granted)| **granted).map(|(scope, _)| scope).collect();
    let own = world.person(&token.user_id).map_or(&[][..], |it| &it.pages);
    let shared = own.iter().filter(|page| grant.is_some_and(|grant| grant.shares(page)));
    let pages: Vec<&String> = shared.map(|page| &page.id).collect();
    let about_pages = scopes.iter().filter(|scope| scope.starts_with("pages_"));
    let granular: Vec<Value> = about_pages.map(|scope| json!({"scope": scope, "target_ids": pages})).collect();
    let mut data = json!({
        "app_id": world.switches.app_id,
        "application": "Sandbox",
        "type": "USER",
        "data_access_expires_at": seconds(grant.map(crate::people::Grant::data_access_expires_at)),
        "expires_at": seconds(token.expires_at),
        "issued_at": seconds(Some(token.issued_at)),
        "is_valid": true,
        "scopes": scopes,
        "granular_scopes": granular,
        "user_id": token.user_id,
    });
    if token.kind == TokenKind::Page {
        data["type"] = "PAGE".into();
        data["profile_id"] = json!(token.page_id);
    }
    data
}

/// Returns seconds since 1970; 0 means never.
fn seconds(instant: Option<DateTime<Utc>>) -> i64 {
    instant.map_or(0, |instant| instant.timestamp())
}
