//! Signing in and out in a browser.

use std::sync::Arc;

use jobs::people::{sessions, sign_in};
use poem::{
    Request, Response, Result, handler,
    web::{Data, cookie::CookieJar},
};
use serde::Deserialize;

use super::{external_login, form::Sent, session_cookie::session_cookie};
use crate::{
    ApiError,
    api::people::origin,
    auth::Identity,
    console,
    html::{Field, FormPage, Link, redirect},
    state::AppState,
};

const LINKS: [Link; 2] = [("/sign-up", "Make an account"), ("/forgot-password", "Forgot the password?")];

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
        links: LINKS.to_vec(),
        ..FormPage::default()
    }
}

/// The form, with what became of signing in elsewhere.
#[handler]
pub(super) fn show(Data(state): Data<&AppState>, request: &Request) -> Response {
    FormPage { error: external_login::refusal(request), ..form(state, "") }.response()
}

/// Signs a browser in.
#[handler]
pub(super) async fn submit(
    Data(state): Data<&AppState>,
    request: &Request,
    cookies: &CookieJar,
    Sent(sent): Sent<SignIn>,
) -> Result<Response> {
    let from = origin(request);
    let checked = sign_in::check(&state.db, &state.services, &sent.email, sent.password.into(), &from).await;
    let user = match checked.map_err(ApiError::from) {
        Ok(user) => user,
        Err(error) => return Ok(form(state, &sent.email).refused(&error)),
    };
    let mut tx = state.db.system().await.map_err(ApiError::from)?;
    let cookie = sign_in::begin_in_browser(&mut tx, &state.services, &user, &from).await.map_err(ApiError::from)?;
    tx.commit().await.map_err(ApiError::from)?;
    cookies.add(session_cookie(state, cookie));
    Ok(redirect(&console::after_sign_in(request)))
}

/// Signs a browser out.
#[handler]
pub(super) async fn sign_out(Data(state): Data<&AppState>, request: &Request, cookies: &CookieJar) -> Result<Response> {
    if let Some(person) = request.extensions().get::<Arc<Identity>>().and_then(|identity| identity.person) {
        let mut tx = state.db.system().await.map_err(ApiError::from)?;
        sessions::revoke(&mut tx, person.session_id).await.map_err(ApiError::from)?;
        tx.commit().await.map_err(ApiError::from)?;
        let mut cookie = session_cookie(state, String::new());
        cookie.make_removal();
        cookies.add(cookie);
    }
    Ok(redirect("/sign-in"))
}
