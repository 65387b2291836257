//! `oauth/access_token`: exchanges a code for a token, and a token for a long-lived one.

use serde_json::{Value, json};

use crate::meta::access::live_token;
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::tokens::{Token, TokenKind};
use crate::world::World;

/// Exchanges a code from the dialog for a short-lived user token.
pub(crate) fn exchange_code(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    check_app(world, call)?;
    let now = world.now();
    if !matches!(call.params.get("grant_type"), None | Some("authorization_code")) {
        return Err(GraphError::invalid("Unsupported grant_type"));
    }
    let redirect_uri =
        call.params.get("redirect_uri").ok_or_else(|| GraphError::new(191, "Missing redirect_uri parameter."))?;
    let given = call.params.get("code").ok_or_else(|| GraphError::new(100, "Missing authorization code"))?;
    let code = world.tokens.code(given).ok_or_else(|| GraphError::new(100, "Invalid verification code format."))?;
    if code.used {
        return Err(GraphError::new(100, "This authorization code has been used.").subcode(36009));
    }
    if code.expires_at <= now {
        return Err(GraphError::new(100, "This authorization code has expired.").subcode(36007));
    }
    if code.redirect_uri != redirect_uri {
        let message = "Error validating verification code. Please make sure your redirect_uri is identical to the one \
                       you used in the OAuth dialog request";
        return Err(GraphError::new(100, message).subcode(36008));
    }
    code.used = true;
    let user_id = code.user_id.clone();
    let token = world.tokens.mint_user(now, TokenKind::UserShort, &user_id).clone();
    Ok(answer(world, &token))
}

/// Exchanges a valid user token for one that lives 60 days from now.
pub(crate) fn exchange_token(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    check_app(world, call)?;
    let old = live_token(world, call.required("fb_exchange_token")?)?;
    if old.kind == TokenKind::Page {
        return Err(GraphError::invalid("The access token does not belong to a user"));
    }
    let now = world.now();
    let token = world.tokens.mint_user(now, TokenKind::UserLong, &old.user_id).clone();
    Ok(answer(world, &token))
}

fn check_app(world: &World, call: &Call) -> Result<(), GraphError> {
    if call.params.get("client_id") != Some(world.switches.app_id.as_str()) {
        let message = "Error validating application. Cannot get application info due to a system error.";
        return Err(GraphError::new(101, message));
    }
    if call.params.get("client_secret") != Some(world.switches.app_secret.as_str()) {
        return Err(GraphError::new(1, "Error validating client secret."));
    }
    Ok(())
}

fn answer(world: &World, token: &Token) -> Value {
    let mut answer = json!({"access_token": token.value, "token_type": "bearer"});
    if let Some(expires_at) = token.expires_at.filter(|_| !world.switches.omit_expires_in) {
        answer["expires_in"] = (expires_at - token.issued_at).num_seconds().into();
    }
    answer
}
