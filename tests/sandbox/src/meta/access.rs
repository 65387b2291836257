//! The access rules: tokens, their proofs, and their permissions.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::people::Page;
use crate::tokens::{Token, TokenKind};
use crate::world::World;

/// Returns the token of a call after checking it, and counts the use.
pub(crate) fn caller(world: &mut World, call: &Call) -> Result<Token, GraphError> {
    let value = call.access_token().ok_or_else(|| missing_token(call))?;
    let token = live_token(world, value)?;
    check_proof(world, call, value, world.switches.require_proof)?;
    if let Some(token) = world.tokens.find(value) {
        token.uses += 1;
    }
    Ok(token)
}

/// Returns the token of a call that only a person can make.
///
/// Fails as [`caller`] does, for a Page's token, and for another person's id.
pub(crate) fn person_caller(world: &mut World, call: &Call) -> Result<Token, GraphError> {
    let token = caller(world, call)?;
    if token.kind == TokenKind::Page {
        let edge = call.path.last().map_or("", String::as_str);
        return Err(GraphError::invalid(&format!("Tried accessing nonexisting field ({edge}) on node type (Page)")));
    }
    if call.subject() != "me" && call.subject() != token.user_id {
        return Err(GraphError::missing_object(&call.method, call.subject()));
    }
    Ok(token)
}

/// Returns the Page's token of a call, with the Page's id.
///
/// Fails as [`caller`] does, for the token of a person or another Page, and for an unknown Page.
pub(crate) fn page_caller(world: &mut World, call: &Call, page_id: &str) -> Result<(Token, String), GraphError> {
    let token = caller(world, call)?;
    let own = token.page_id.clone();
    match own {
        Some(own) if page_id == own || page_id == "me" => Ok((token, own)),
        None if world.has_page(page_id) => Err(page_token_required()),
        Some(_) | None => Err(GraphError::missing_object(&call.method, page_id)),
    }
}

/// Returns the error of a call with a person's token that needs a Page's.
pub(crate) fn page_token_required() -> GraphError {
    GraphError::new(210, "(#210) A page access token is required to request this resource.")
}

/// Checks that the person behind a Page's token may publish there.
pub(crate) fn check_may_publish(world: &World, token: &Token, page_id: &str) -> Result<(), GraphError> {
    let granted = |permission| world.grants(&token.user_id, permission);
    let reads = !world.switches.publish_needs_read_scope || granted("pages_read_engagement");
    if !reads || !granted("pages_manage_posts") {
        return Err(GraphError::missing_permission(
            "If posting to a group, requires app being installed in the group, and either publish_to_groups permission \
             with user token, or both pages_read_engagement and pages_manage_posts permission with page token; If \
             posting to a page, requires both pages_read_engagement and pages_manage_posts as an admin with sufficient \
             administrative permission",
        ));
    }
    if !world.page(&token.user_id, page_id).is_some_and(Page::may_publish) {
        return Err(GraphError::missing_permission("The user does not have the CREATE_CONTENT task on the Page"));
    }
    Ok(())
}

/// Checks that the person behind a Page's token lets the app read the Page.
pub(crate) fn check_may_read(world: &World, token: &Token) -> Result<(), GraphError> {
    if world.grants(&token.user_id, "pages_read_engagement") {
        return Ok(());
    }
    Err(GraphError::new(10, "(#10) This endpoint requires the 'pages_read_engagement' permission"))
}

/// Returns the token with this value if it still works.
pub(crate) fn live_token(world: &mut World, value: &str) -> Result<Token, GraphError> {
    let now = world.now();
    let Some(token) = world.tokens.find(value).map(|token| token.clone()) else {
        return Err(unknown_token(value));
    };
    let dead = |subcode| GraphError::dead_token(subcode, &world.switches.app_id, token.expires_at, now);
    if let Some(subcode) = token.failure_subcode {
        return Err(dead(subcode));
    }
    if token.is_expired(now) {
        return Err(dead(463));
    }
    let gone = match &token.page_id {
        Some(page_id) => world.page(&token.user_id, page_id).is_none(),
        None => world.person(&token.user_id).is_none(),
    };
    if gone { Err(dead(467)) } else { Ok(token) }
}

/// Checks `appsecret_proof` if it is given. Fails without one if it is `required`.
pub(crate) fn check_proof(world: &World, call: &Call, token: &str, required: bool) -> Result<(), GraphError> {
    match call.params.get("appsecret_proof") {
        None if required => Err(GraphError::proof("API calls from the server require an appsecret_proof argument")),
        Some(given) if given != proof(&world.switches.app_secret, token) => {
            Err(GraphError::proof("Invalid appsecret_proof provided in the API argument"))
        }
        None | Some(_) => Ok(()),
    }
}

/// Returns the proof that a program sends along with a token. Only the app's own program knows the
/// secret for it.
pub(crate) fn proof(app_secret: &str, token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(token.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn missing_token(call: &Call) -> GraphError {
    if call.subject() == "me" {
        let message = "An active access token must be used to query information about the current user.";
        return GraphError::new(2500, message);
    }
    GraphError::new(104, "(#104) An access token is required to request this resource.")
}

fn unknown_token(value: &str) -> GraphError {
    if value.starts_with("EAA") {
        return GraphError::new(190, format!("Malformed access token {value}"));
    }
    GraphError::new(190, "Invalid OAuth access token - Cannot parse access token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_documented_one() {
        let expected = "7ac11bd217eedca6f0f7d03f8bdd3acff38646d0170d59627fdd6942047df1ca";
        assert_eq!(proof("app_secret_123", "EAAB_token"), expected);
    }
}
