//! The second step of signing in with a browser: the code of an authenticator app.

use jobs::people::sign_in::second_step;
use poem::{
    Request, Response, Result, handler,
    web::{Data, cookie::CookieJar},
};
use serde::Deserialize;

use super::{form::Sent, sign_in};
use crate::{
    ApiError,
    api::people::{count_client, origin},
    console,
    error::ErrorCode,
    html::{Field, FormPage, redirect},
    http::cookies,
    state::AppState,
};

#[derive(Deserialize)]
struct Code {
    code: String,
}

fn form() -> FormPage {
    FormPage {
        title: "Enter a code",
        lead: Some("Open your authenticator app and type the code that it shows for Linecook.".to_owned()),
        fields: vec![Field::code("or a recovery code")],
        button: "Sign in",
        links: vec![("/sign-in", "Sign in again")],
        ..FormPage::default()
    }
}

/// The form for a code.
#[handler]
pub(super) fn show(Data(state): Data<&AppState>, jar: &CookieJar) -> Response {
    match cookies::read(jar, state, cookies::SECOND_STEP) {
        Some(_) => form().response(),
        None => redirect("/sign-in"),
    }
}

/// Signs a browser in by a code.
#[handler]
pub(super) async fn submit(
    Data(state): Data<&AppState>,
    request: &Request,
    jar: &CookieJar,
    Sent(sent): Sent<Code>,
) -> Result<Response> {
    let Some(pending) = cookies::read(jar, state, cookies::SECOND_STEP) else {
        return Ok(redirect("/sign-in"));
    };
    let from = origin(request);
    let checked = async {
        count_client(state, request).await?;
        let db = state.db.unkeyed();
        Ok::<_, ApiError>(second_step::check(db, &state.services, &pending, &sent.code, &from).await?)
    };
    match checked.await {
        Ok(proven) => {
            jar.add(cookies::removal(state, cookies::SECOND_STEP));
            Ok(sign_in::begin(state, &proven, &from, jar, &console::after_sign_in(request)).await?)
        }
        Err(error) => {
            if error.is(ErrorCode::SignInExpired) {
                jar.add(cookies::removal(state, cookies::SECOND_STEP));
            }
            Ok(form().refused(&error))
        }
    }
}
