//! The login dialog: the person of the world approves at once, or cancels.

use std::collections::BTreeMap;

use poem::http::{StatusCode, header};
use poem::{Body, Request, Response, handler};
use url::Url;

use crate::operation::Operation;
use crate::params::Params;
use crate::people::Grant;
use crate::provider::Incoming;
use crate::world::World;

const SCOPES: [&str; 19] = [
    "ads_management",
    "ads_read",
    "business_management",
    "email",
    "instagram_basic",
    "instagram_content_publish",
    "instagram_manage_comments",
    "instagram_manage_insights",
    "instagram_manage_messages",
    "pages_manage_engagement",
    "pages_manage_metadata",
    "pages_manage_posts",
    "pages_messaging",
    "pages_read_engagement",
    "pages_read_user_content",
    "pages_show_list",
    "public_profile",
    "read_insights",
    "user_posts",
];

/// Handles everything under `/{world}/facebook`, of which only the dialog exists.
#[handler]
pub(crate) async fn login_dialog(request: &Request, body: Body) -> Response {
    let incoming = match Incoming::read(request, body).await {
        Ok(incoming) => incoming,
        Err(response) => return response,
    };
    let known = match incoming.segments().as_slice() {
        ["dialog", "oauth"] => true,
        [version, "dialog", "oauth"] => version.starts_with('v'),
        _ => false,
    };
    if !known || incoming.method != "GET" {
        return incoming.answer(Operation::Unknown, |_, _| async { StatusCode::NOT_FOUND.into() }).await;
    }
    incoming.answer(Operation::LoginDialog, open).await
}

async fn open(incoming: Incoming, _: Option<crate::faults::Scenario>) -> Response {
    let params = Params::read(&incoming.query, &incoming.headers, &incoming.body).await.unwrap_or_default();
    match login(&mut incoming.world.lock(), &params) {
        Ok(address) => Response::builder()
            .status(StatusCode::FOUND)
            .header(header::LOCATION, address)
            .header(header::CACHE_CONTROL, "no-store")
            .finish(),
        Err(reason) => Response::builder()
            .status(StatusCode::BAD_REQUEST)
            .content_type("text/html; charset=utf-8")
            .body(format!("<html><body><h1>Sorry, something went wrong.</h1><p>{reason}</p></body></html>")),
    }
}

/// Returns the address that the browser goes to next. Errors in the request are shown to the
/// person, never sent to `redirect_uri`.
fn login(world: &mut World, params: &Params) -> Result<String, &'static str> {
    if params.get("client_id") != Some(world.switches.app_id.as_str()) {
        return Err("Invalid App ID: the provided app ID does not look like a valid app ID.");
    }
    let redirect_uri = params.get("redirect_uri").ok_or("The parameter redirect_uri is required.")?;
    let mut address = absolute(redirect_uri).ok_or("URL blocked: redirect_uri is not an absolute URI.")?;
    if params.get("response_type") != Some("code") {
        return Err("Unsupported response_type.");
    }
    let state = params.get("state").ok_or("The parameter state is required.")?;
    let scopes: Vec<&str> = params.get("scope").map(|scope| scope.split(',').collect()).unwrap_or_default();
    if scopes.iter().any(|scope| !SCOPES.contains(scope)) {
        return Err("Invalid Scopes: this message is only shown to developers.");
    }
    if world.switches.deny_login {
        address
            .query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("error_code", "200")
            .append_pair("error_description", "Permissions error")
            .append_pair("error_reason", "user_denied")
            .append_pair("state", state);
    } else {
        let code = approve(world, &scopes, params.get("auth_type") == Some("rerequest"), redirect_uri)?;
        address.query_pairs_mut().append_pair("code", &code).append_pair("state", state);
    }
    address.set_fragment(Some("_=_"));
    Ok(address.into())
}

fn approve(world: &mut World, scopes: &[&str], asked_again: bool, redirect_uri: &str) -> Result<String, &'static str> {
    let now = world.now();
    let user_id = world.current.clone();
    if world.person(&user_id).is_none() {
        return Err("Nobody is logged in.");
    }
    let ticked = world.ticked.clone().or_else(|| world.switches.granted_scopes.clone());
    let empty = Grant { permissions: BTreeMap::new(), consented_at: now };
    let grant = world.grants.entry(user_id.clone()).or_insert(empty);
    grant.consented_at = now;
    grant.permissions.insert("public_profile".to_owned(), true);
    for scope in scopes.iter().filter(|scope| **scope != "public_profile") {
        let ticked = ticked.as_ref().is_none_or(|ticked| ticked.iter().any(|one| one == scope));
        // A permission that was declined once is not requested again unless the app says so.
        let declined_before = !asked_again && grant.permissions.get(*scope) == Some(&false);
        grant.permissions.insert((*scope).to_owned(), ticked && !declined_before);
    }
    Ok(world.tokens.mint_code(now, &user_id, redirect_uri))
}

/// Returns the address if a browser can be sent back to it.
pub(crate) fn absolute(redirect_uri: &str) -> Option<Url> {
    let address = Url::parse(redirect_uri).ok()?;
    let usable = matches!(address.scheme(), "http" | "https") && address.has_host() && address.fragment().is_none();
    usable.then_some(address)
}
