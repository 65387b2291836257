//! Signs people in and out in a browser.

use std::sync::Arc;

use jobs::people::{
    second_factor, sessions,
    sign_in::{self, Begun, ClientOrigin, Proven},
};
use poem::{
    Request, Response, Result, handler,
    web::{Data, cookie::CookieJar},
};
use serde::Deserialize;

use super::{external_login, form::Sent};
use crate::{
    ApiError,
    api::people::origin,
    auth::Identity,
    console,
    html::{Field, FormPage, Link, redirect},
    http::cookies,
    state::AppState,
};

const SIGN_UP: Link = ("/sign-up", "Make an account");
const FORGOT: Link = ("/forgot-password", "Forgot the password?");

#[derive(Deserialize)]
struct SignIn {
    email: String,
    password: String,
}

fn form(state: &AppState, email: &str) -> FormPage {
    FormPage {
        title: "Sign in",
        fields: vec![Field::email(email), Field::password()],
        button: "Sign in",
        ways: external_login::ways(state),
        links: if state.services.sign_up.admits(false) { vec![SIGN_UP, FORGOT] } else { vec![FORGOT] },
        ..FormPage::default()
    }
}

/// Shows the form, with the reason if signing in with a provider failed.
#[handler]
pub(super) fn show(Data(state): Data<&AppState>, request: &Request) -> Response {
    FormPage { error: external_login::refusal(request), ..form(state, "") }.response()
}

/// Signs a browser in.
#[handler]
pub(super) async fn submit(
    Data(state): Data<&AppState>,
    request: &Request,
    jar: &CookieJar,
    Sent(sent): Sent<SignIn>,
) -> Result<Response> {
    let from = origin(request);
    let checked = sign_in::check(state.db.unkeyed(), &state.services, &sent.email, sent.password.into(), &from).await;
    let proven = match checked.map_err(ApiError::from) {
        Ok(proven) => proven,
        Err(error) => return Ok(form(state, &sent.email).refused(&error)),
    };
    Ok(begin(state, &proven, &from, jar, &console::after_sign_in(request)).await?)
}

/// Signs a browser in and leads it to `next`, or asks it for a code first. A person who has to set
/// up a second factor is led there.
pub(super) async fn begin(
    state: &AppState,
    proven: &Proven,
    from: &ClientOrigin,
    jar: &CookieJar,
    next: &str,
) -> Result<Response, ApiError> {
    let mut tx = state.db.unkeyed().system().await?;
    let begun = sign_in::begin_in_browser(&mut tx, &state.services, proven, from).await?;
    let is_missing = second_factor::is_missing(&mut tx, proven.user().id).await?;
    tx.commit().await?;
    match begun {
        Begun::NeedsCode(pending) => {
            jar.add(cookies::second_step(state, &pending));
            Ok(redirect(&console::code_for(next)))
        }
        Begun::SignedIn(session) => {
            jar.add(cookies::session(state, &session));
            jar.add(cookies::known_client(state, proven.user()));
            Ok(redirect(if is_missing { console::SECOND_FACTOR_PATH } else { next }))
        }
    }
}

/// Signs a browser out.
#[handler]
pub(super) async fn sign_out(Data(state): Data<&AppState>, request: &Request, jar: &CookieJar) -> Result<Response> {
    if let Some(person) = request.extensions().get::<Arc<Identity>>().and_then(|identity| identity.person) {
        let mut tx = state.db.unkeyed().system().await.map_err(ApiError::from)?;
        sessions::revoke(&mut tx, person.session_id).await.map_err(ApiError::from)?;
        tx.commit().await.map_err(ApiError::from)?;
        jar.add(cookies::removal(state, cookies::SESSION));
    }
    Ok(redirect("/sign-in"))
}
