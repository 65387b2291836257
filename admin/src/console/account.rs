//! The pages on which people change how they sign in: password, address, sessions.

#![expect(clippy::disallowed_methods, reason = "what concerns signing in takes no Idempotency-Key")]

use jobs::{
    engine::{Scope, Tx},
    ids::SessionId,
    people::{
        change_address, change_password,
        sessions::{self, SessionRow},
        store,
    },
};
use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, cookie::CookieJar},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    frame::Frame,
    notice::Notice,
    parts::{Field, Refused},
    visitor::Visitor,
};
use crate::{
    ApiError,
    api::people::{acting, address, evenly, origin, require_mail},
    html::{page, redirect},
    pages::Sent,
    state::AppState,
};

/// The path of the page.
pub(super) const PATH: &str = "/me/sign-in";

#[derive(askama::Template)]
#[template(path = "console/account.html")]
struct AccountPage {
    frame: Frame,
    refused: Option<Refused>,
    passwords: Vec<Field>,
    addresses: Vec<Field>,
    sessions: Vec<SessionRow>,
    current: SessionId,
}

/// People without a password send no current one.
#[derive(Deserialize)]
struct PasswordForm {
    current_password: Option<String>,
    new_password: String,
}

#[derive(Deserialize)]
struct AddressForm {
    email: String,
    password: Option<String>,
}

/// Names a session; none: all others.
#[derive(Deserialize)]
struct EndForm {
    session: Option<Uuid>,
}

/// A field for a password.
pub(super) fn password(name: &'static str, label: &'static str, autocomplete: &'static str) -> Field {
    Field { kind: "password", autocomplete, ..Field::text(name, label, "") }.required()
}

/// Returns the field for the current password of somebody who has one.
pub(super) async fn current_password(
    tx: &mut Tx,
    visitor: &Visitor,
    name: &'static str,
) -> Result<Option<Field>, ApiError> {
    let user = store::get(tx, visitor.person.user_id).await?.ok_or_else(ApiError::unauthorized)?;
    Ok(user.password_hash.map(|_| password(name, "Current password", "current-password")))
}

async fn account_page(
    state: &AppState,
    visitor: &Visitor,
    status: StatusCode,
    refused: Option<Refused>,
) -> Result<Response> {
    let frame = Frame::new(state, visitor, "Signing in").await?;
    let mut tx = state.db.read(Scope::System).await.map_err(ApiError::from)?;
    let sessions = sessions::list(&mut tx, visitor.person.user_id).await.map_err(ApiError::from)?;
    let new = password("new_password", "New password", "new-password").hinted("10 characters or more");
    let email = Field { kind: "email", autocomplete: "email", ..Field::text("email", "New e-mail address", "") };
    let page_ = AccountPage {
        frame,
        refused,
        passwords: current_password(&mut tx, visitor, "current_password").await?.into_iter().chain([new]).collect(),
        addresses: [email.at_most(254).required()]
            .into_iter()
            .chain(current_password(&mut tx, visitor, "password").await?)
            .collect(),
        sessions,
        current: visitor.person.session_id,
    };
    Ok(page(status, &page_))
}

/// Shows it.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    account_page(state, &visitor, StatusCode::OK, None).await
}

async fn done(
    state: &AppState,
    visitor: &Visitor,
    cookies: &CookieJar,
    outcome: Result<&'static str, ApiError>,
) -> Result<Response> {
    match outcome {
        Ok(words) => {
            Notice::ok(words).keep(state, cookies);
            Ok(redirect(&visitor.to(PATH)))
        }
        Err(error) => {
            let refused = Refused { title: "Nothing was changed", words: error.detail().to_owned() };
            account_page(state, visitor, error.status(), Some(refused)).await
        }
    }
}

/// Changes the password.
#[handler]
pub(super) async fn save_password(
    Data(state): Data<&AppState>,
    request: &Request,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(form): Sent<PasswordForm>,
) -> Result<Response> {
    let from = origin(request);
    let (db, who) = (state.db.unkeyed(), acting(visitor.person, &from));
    let current = form.current_password.map(Into::into);
    let changed = change_password(db, &state.services, who, current, form.new_password.into()).await;
    let words = "Your password was changed. You were signed out everywhere else.";
    done(state, &visitor, cookies, changed.map(|()| words).map_err(ApiError::from)).await
}

/// Asks both mailboxes about another address.
#[handler]
pub(super) async fn save_address(
    Data(state): Data<&AppState>,
    request: &Request,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(form): Sent<AddressForm>,
) -> Result<Response> {
    let from = origin(request);
    let asked = async {
        let new = address(&form.email)?;
        require_mail(state)?;
        let (db, who) = (state.db.unkeyed(), acting(visitor.person, &from));
        let password = form.password.map(Into::into);
        evenly(change_address::request(db, &state.services, who, password, &new)).await?;
        Ok("Open the links in the two mails: one goes to each address.")
    };
    let asked = asked.await;
    done(state, &visitor, cookies, asked).await
}

/// Ends a session, or all others.
#[handler]
pub(super) async fn end_sessions(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(form): Sent<EndForm>,
) -> Result<Response> {
    let (person, keyring, actor) = (visitor.person, &state.services.keyring, visitor.caller.actor());
    let ended = async {
        let mut tx = state.db.unkeyed().system().await?;
        let words = if let Some(id) = form.session.map(SessionId) {
            if !sessions::end_one(&mut tx, keyring, actor, person.user_id, id).await? {
                return Err(ApiError::not_found("session"));
            }
            "The session was ended."
        } else {
            sessions::end_others(&mut tx, keyring, actor, person.user_id, person.session_id).await?;
            "All other sessions were ended."
        };
        tx.commit().await?;
        Ok(words)
    };
    let ended = ended.await;
    done(state, &visitor, cookies, ended).await
}
