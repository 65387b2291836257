//! The login dialog: a page on which a person allows or denies, as [`page`] shows it. A program
//! that is no browser gets the answer at once, as the switches of the world have it.

mod page;

use std::collections::BTreeMap;

use poem::http::{StatusCode, header};
use poem::{Body, Request, Response, handler};
use url::Url;

use crate::operation::Operation;
use crate::params::Params;
use crate::people::{Grant, Shared};
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

/// A login that an app asks for.
struct Asked<'a> {
    redirect_uri: &'a str,
    address: Url,
    state: &'a str,
    scopes: Vec<&'a str>,
    /// True if permissions that were declined before are asked for too.
    again: bool,
}

/// The answer of a person to the dialog.
struct Decision {
    /// The person who is logged in from then on.
    person_id: String,
    is_denied: bool,
    /// The only permissions that are ticked; `None` is all.
    ticked: Option<Vec<String>>,
    /// The ticked Pages and Instagram accounts; `None` leaves them all ticked.
    shared: Option<Shared>,
}

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
    match incoming.method.as_str() {
        "GET" if known => incoming.answer(Operation::LoginDialog, open).await,
        "POST" if known => incoming.answer(Operation::LoginDecision, decide).await,
        _ => incoming.answer(Operation::Unknown, |_, _| async { StatusCode::NOT_FOUND.into() }).await,
    }
}

async fn open(incoming: Incoming, _: Option<crate::faults::Scenario>) -> Response {
    let params = Params::read(&incoming.query, &incoming.headers, &incoming.body).await.unwrap_or_default();
    let mut world = incoming.world.lock();
    let asked = match check(&world, &params) {
        Ok(asked) => asked,
        Err(reason) => return wrong(reason),
    };
    let accepts = incoming.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_browser = accepts.is_some_and(|accepts| accepts.contains("text/html"));
    if world.switches.dialog_page.unwrap_or(is_browser) {
        return page::show(&world, &asked);
    }
    let decision = Decision {
        person_id: world.current.clone(),
        is_denied: world.switches.deny_login,
        ticked: world.ticked.clone().or_else(|| world.switches.granted_scopes.clone()),
        shared: None,
    };
    leave(&mut world, &asked, decision)
}

/// Takes the form of the page.
async fn decide(incoming: Incoming, _: Option<crate::faults::Scenario>) -> Response {
    let params = Params::read(&incoming.query, &incoming.headers, &incoming.body).await.unwrap_or_default();
    let mut world = incoming.world.lock();
    match check(&world, &params) {
        Ok(asked) => {
            let decision = page::decision(&world, &params);
            world.current.clone_from(&decision.person_id);
            leave(&mut world, &asked, decision)
        }
        Err(reason) => wrong(reason),
    }
}

/// Sends the browser back to the app.
fn leave(world: &mut World, asked: &Asked<'_>, decision: Decision) -> Response {
    match address_after(world, asked, decision) {
        Ok(address) => Response::builder()
            .status(StatusCode::FOUND)
            .header(header::LOCATION, address)
            .header(header::CACHE_CONTROL, "no-store")
            .finish(),
        Err(reason) => wrong(reason),
    }
}

/// Shows the error to the person. It is never sent to `redirect_uri`.
fn wrong(reason: &str) -> Response {
    Response::builder()
        .status(StatusCode::BAD_REQUEST)
        .content_type("text/html; charset=utf-8")
        .body(format!("<html><body><h1>Sorry, something went wrong.</h1><p>{reason}</p></body></html>"))
}

fn check<'a>(world: &World, params: &'a Params) -> Result<Asked<'a>, &'static str> {
    if params.get("client_id") != Some(world.switches.app_id.as_str()) {
        return Err("Invalid App ID: the provided app ID does not look like a valid app ID.");
    }
    let redirect_uri = params.get("redirect_uri").ok_or("The parameter redirect_uri is required.")?;
    let address = absolute(redirect_uri).ok_or("URL blocked: redirect_uri is not an absolute URI.")?;
    if params.get("response_type") != Some("code") {
        return Err("Unsupported response_type.");
    }
    let state = params.get("state").ok_or("The parameter state is required.")?;
    let scopes: Vec<&str> = params.get("scope").map(|scope| scope.split(',').collect()).unwrap_or_default();
    if scopes.iter().any(|scope| !SCOPES.contains(scope)) {
        return Err("Invalid Scopes: this message is only shown to developers.");
    }
    Ok(Asked { redirect_uri, address, state, scopes, again: params.get("auth_type") == Some("rerequest") })
}

/// Returns the address that the browser goes to next.
fn address_after(world: &mut World, asked: &Asked<'_>, decision: Decision) -> Result<String, &'static str> {
    let mut address = asked.address.clone();
    if decision.is_denied {
        address
            .query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("error_code", "200")
            .append_pair("error_description", "Permissions error")
            .append_pair("error_reason", "user_denied")
            .append_pair("state", asked.state);
    } else {
        let code = approve(world, asked, decision)?;
        address.query_pairs_mut().append_pair("code", &code).append_pair("state", asked.state);
    }
    address.set_fragment(Some("_=_"));
    Ok(address.into())
}

fn approve(world: &mut World, asked: &Asked<'_>, decision: Decision) -> Result<String, &'static str> {
    let now = world.now();
    let Decision { person_id, ticked, shared, .. } = decision;
    if world.person(&person_id).is_none() {
        return Err("Nobody is logged in.");
    }
    let empty = Grant { permissions: BTreeMap::new(), shared: None, consented_at: now };
    let grant = world.grants.entry(person_id.clone()).or_insert(empty);
    grant.consented_at = now;
    grant.shared = shared;
    grant.permissions.insert("public_profile".to_owned(), true);
    for scope in asked.scopes.iter().filter(|scope| **scope != "public_profile") {
        let ticked = ticked.as_ref().is_none_or(|ticked| ticked.iter().any(|one| one == scope));
        // A permission that was declined once is not requested again unless the app says so.
        let declined_before = !asked.again && grant.permissions.get(*scope) == Some(&false);
        grant.permissions.insert((*scope).to_owned(), ticked && !declined_before);
    }
    Ok(world.tokens.mint_code(now, &person_id, asked.redirect_uri))
}

/// Returns the address if a browser can be sent back to it.
pub(crate) fn absolute(redirect_uri: &str) -> Option<Url> {
    let address = Url::parse(redirect_uri).ok()?;
    let usable = matches!(address.scheme(), "http" | "https") && address.has_host() && address.fragment().is_none();
    usable.then_some(address)
}
