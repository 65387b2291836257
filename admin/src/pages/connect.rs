//! Opens tickets to connect accounts. Binds the browser by a cookie and sends it to the provider.

use std::sync::Arc;

use jobs::{
    connections::{self, OpenError, Opened, store::Ticket},
    engine::Tx,
};
use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use url::Url;

use super::form::Sent;
use crate::{
    ApiError,
    api::connections::cookie_name,
    auth::Identity,
    html::{FormPage, Link, message_page, onward, redirect},
    http::cookies,
    state::AppState,
};

const TO_SIGN_IN: [Link; 1] = [("/sign-in", "Sign in")];

/// The form, which has only a button.
#[derive(Deserialize)]
struct Pressed {}

/// Opens a ticket of the person who is signed in. A ticket that a key asked for first shows a page,
/// as the accounts may go to another tenant than the reader thinks.
#[handler]
pub(super) async fn show(
    Data(state): Data<&AppState>,
    request: &Request,
    Path(ticket): Path<String>,
    jar: &CookieJar,
) -> Result<Response> {
    let shown = async {
        let mut tx = state.db.unkeyed().system().await?;
        let found = match find(&mut tx, request, &ticket).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(refusal),
        };
        if found.user_id.is_none() {
            return question(state, &found);
        }
        Ok(open(state, tx, &ticket, jar).await?.map_or_else(not_valid, |dialog| redirect(dialog.as_str())))
    };
    Ok(shown.await.unwrap_or_else(|error: ApiError| failed(&error)))
}

/// Opens a ticket whose reader has seen the name of the tenant.
#[handler]
pub(super) async fn submit(
    Data(state): Data<&AppState>,
    request: &Request,
    Path(ticket): Path<String>,
    jar: &CookieJar,
    Sent(Pressed {}): Sent<Pressed>,
) -> Result<Response> {
    let opened = async {
        let mut tx = state.db.unkeyed().system().await?;
        match find(&mut tx, request, &ticket).await? {
            Ok(_) => Ok(open(state, tx, &ticket, jar).await?.map_or_else(not_valid, |dialog| onward(dialog.as_str()))),
            Err(refusal) => Ok(refusal),
        }
    };
    Ok(opened.await.unwrap_or_else(|error: ApiError| failed(&error)))
}

/// Returns a ticket that the caller may open, or else the page with the reason.
async fn find(tx: &mut Tx, request: &Request, ticket: &str) -> Result<Result<Ticket, Response>, ApiError> {
    let Some(found) = connections::find_ticket(tx, ticket).await? else {
        return Ok(Err(not_valid()));
    };
    let identity = request.extensions().get::<Arc<Identity>>();
    let person = identity.and_then(|identity| identity.person);
    if found.user_id.is_some_and(|owner| person.is_none_or(|person| person.user_id != owner)) {
        let words = "Only the person who asked for this link can open it: sign in as that person, then open it again.";
        return Ok(Err(message_page(StatusCode::FORBIDDEN, "Whose link is this?", words, &TO_SIGN_IN)));
    }
    // The person may have lost the tenant since, or need a second factor in it.
    if let (Some(_), Some(identity)) = (found.user_id, identity) {
        identity.access.held_in(found.tenant_id)?;
    }
    Ok(Ok(found))
}

/// Returns the provider's dialog, to which the browser is sent.
async fn open(state: &AppState, mut tx: Tx, ticket: &str, jar: &CookieJar) -> Result<Option<Url>, ApiError> {
    let opened = match connections::open_ticket(&mut tx, &state.services.providers, ticket).await {
        Ok(opened) => opened,
        Err(OpenError::NotOffered(error)) => return Err(error.into()),
        Err(OpenError::Database(error)) => return Err(error.into()),
    };
    tx.commit().await?;
    Ok(opened.map(|opened| bind(state, jar, opened)))
}

/// Binds a login to this browser by a cookie. Returns the provider's dialog.
pub(super) fn bind(state: &AppState, jar: &CookieJar, Opened { request, authorize_url }: Opened) -> Url {
    let verifier = request.verifier.expose_secret();
    jar.add(cookies::cookie(state, &cookie_name(&request.state), verifier, state.state_life));
    authorize_url
}

/// Returns the page that names the tenant. Its button opens the ticket.
fn question(state: &AppState, ticket: &Ticket) -> Result<Response, ApiError> {
    let provider = ticket.provider.known()?;
    state.services.providers.connecting(provider)?;
    let (label, noun, tenant) = (provider.label(), provider.account_noun(), &ticket.tenant);
    let lead = format!(
        "Your {label} {noun}s will be connected to \u{201c}{tenant}\u{201d}, whose members can then publish there. If you do not \
         belong to it, close this page."
    );
    let page =
        FormPage { title: "Connect your accounts?", lead: Some(lead), button: "Continue", ..FormPage::default() };
    Ok(page.response())
}

fn not_valid() -> Response {
    let words = "This link was opened before, or is too old. Ask for a new one.";
    message_page(StatusCode::NOT_FOUND, "Link not valid", words, &[])
}

pub(super) fn failed(error: &ApiError) -> Response {
    message_page(error.status(), "Not connected", error.detail(), &[])
}
