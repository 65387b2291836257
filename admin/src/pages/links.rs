//! The pages behind the links in mails. Opening a page changes nothing, as programs that check
//! mails open links too. Only its button does. The code is in the address only, never in a page.

use jobs::{
    name::Name,
    people::{
        accept::{self, Newcomer},
        change_address::{self, Confirmed},
        recover, sign_up,
    },
    tenants,
};
use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, Path},
};
use serde::Deserialize;

use super::form::Sent;
use crate::{
    ApiError,
    api::people::{count_client, origin},
    error::ErrorCode,
    html::{Field, FormPage, Link, message_page},
    state::AppState,
};

const TO_SIGN_IN: [Link; 1] = [("/sign-in", "Sign in")];

#[derive(Deserialize)]
struct Confirm {
    password: String,
}

fn verify_form() -> FormPage {
    FormPage {
        title: "Is this your address?",
        lead: Some(
            "To confirm it, enter the password that you chose. If you did not register, close this page.".to_owned(),
        ),
        fields: vec![Field::password()],
        button: "Confirm",
        ..FormPage::default()
    }
}

/// Shows the form that confirms an address.
#[handler]
pub(super) fn show_verify() -> Response {
    verify_form().response()
}

/// Confirms an address.
#[handler]
pub(super) async fn submit_verify(
    Data(state): Data<&AppState>,
    request: &Request,
    Path(code): Path<String>,
    Sent(sent): Sent<Confirm>,
) -> Result<Response> {
    let verified = async {
        count_client(state, request).await?;
        let from = origin(request).remote_address;
        let password = sent.password.into();
        Ok::<_, ApiError>(sign_up::verify(state.db.unkeyed(), &state.services, &code, password, from).await?)
    };
    match verified.await {
        Ok(_) => Ok(message_page(StatusCode::OK, "You can sign in now", "The address is confirmed.", &TO_SIGN_IN)),
        Err(error) => Ok(verify_form().refused(&error)),
    }
}

#[derive(Deserialize)]
struct Reset {
    password: String,
}

fn reset_form() -> FormPage {
    FormPage {
        title: "Choose a new password",
        fields: vec![Field::new_password()],
        button: "Save",
        links: vec![("/forgot-password", "Ask for a new link")],
        ..FormPage::default()
    }
}

/// Shows the form for a new password.
#[handler]
pub(super) fn show_reset() -> Response {
    reset_form().response()
}

/// Changes a password.
#[handler]
pub(super) async fn submit_reset(
    Data(state): Data<&AppState>,
    request: &Request,
    Path(code): Path<String>,
    Sent(sent): Sent<Reset>,
) -> Result<Response> {
    let reset = async {
        count_client(state, request).await?;
        let from = origin(request).remote_address;
        Ok::<_, ApiError>(recover::reset(state.db.unkeyed(), &state.services, &code, sent.password.into(), from).await?)
    };
    match reset.await {
        Ok(()) => Ok(message_page(
            StatusCode::OK,
            "Password changed",
            "All your sessions have ended: sign in with the new password.",
            &TO_SIGN_IN,
        )),
        Err(error) => Ok(reset_form().refused(&error)),
    }
}

/// The form has a button only.
#[derive(Deserialize)]
struct Agreed {}

fn address_form() -> FormPage {
    FormPage {
        title: "Change the address?",
        lead: Some(
            "Confirm that your account should have another address. If you did not ask for that, close this page."
                .to_owned(),
        ),
        button: "Confirm",
        ..FormPage::default()
    }
}

/// Asks whether an address should change.
#[handler]
pub(super) fn show_address() -> Response {
    address_form().response()
}

/// Confirms a change of address.
#[handler]
pub(super) async fn submit_address(
    Data(state): Data<&AppState>,
    request: &Request,
    Path(code): Path<String>,
    Sent(Agreed {}): Sent<Agreed>,
) -> Result<Response> {
    let confirmed = async {
        count_client(state, request).await?;
        let from = origin(request).remote_address;
        Ok::<_, ApiError>(change_address::confirm(state.db.unkeyed(), &state.services, &code, from).await?)
    };
    let (title, words) = match confirmed.await {
        Ok(Confirmed::Done) => ("Address changed", "Sign in with the new address from now on."),
        Ok(Confirmed::Half) => ("One more step", "Open the link in the mail to the other address too."),
        Err(error) => return Ok(not_valid(&error)),
    };
    Ok(message_page(StatusCode::OK, title, words, &TO_SIGN_IN))
}

#[derive(Deserialize)]
struct Accept {
    name: Option<String>,
    password: Option<String>,
}

/// Returns the form for an invitation that can be accepted. If the address has no account, the form
/// asks for a name and a password. The visit counts against no limit: any site can send a browser
/// here, and nobody guesses a code.
async fn invitation_form(state: &AppState, code: &str) -> Result<FormPage, ApiError> {
    let mut tx = state.db.unkeyed().system().await?;
    let (invitation, has_account) = accept::read(&mut tx, &state.services, code).await?;
    let tenant = tenants::store::get(&mut tx, invitation.tenant_id).await?.ok_or_else(ApiError::bad_code)?;
    tx.commit().await?;
    Ok(FormPage {
        title: "You are invited",
        lead: Some(format!("{} would like {} to join as {}.", tenant.name, invitation.email, invitation.role.name())),
        fields: if has_account { Vec::new() } else { vec![Field::name(""), Field::new_password()] },
        button: "Join",
        ..FormPage::default()
    })
}

/// Shows an invitation.
#[handler]
pub(super) async fn show_invitation(Data(state): Data<&AppState>, Path(code): Path<String>) -> Result<Response> {
    match invitation_form(state, &code).await {
        Ok(form) => Ok(form.response()),
        Err(error) => Ok(not_valid(&error)),
    }
}

/// Accepts an invitation.
#[handler]
pub(super) async fn submit_invitation(
    Data(state): Data<&AppState>,
    request: &Request,
    Path(code): Path<String>,
    Sent(sent): Sent<Accept>,
) -> Result<Response> {
    let accepted = async {
        count_client(state, request).await?;
        let newcomer = match (sent.name, sent.password) {
            (Some(name), Some(password)) => {
                let name = Name::parse(&name, 1..=100).map_err(|rule| {
                    ApiError::unprocessable(ErrorCode::BadName, format!("Your name should have {rule}."))
                })?;
                Some(Newcomer { name, password: password.into() })
            }
            (Some(_) | None, Some(_) | None) => None,
        };
        let from = origin(request).remote_address;
        Ok::<_, ApiError>(accept::accept(state.db.unkeyed(), &state.services, &code, newcomer, from).await?)
    };
    match accepted.await {
        Ok(_) => Ok(message_page(StatusCode::OK, "Welcome", "You have joined. Sign in to begin.", &TO_SIGN_IN)),
        Err(error) => match invitation_form(state, &code).await {
            Ok(form) => Ok(form.refused(&error)),
            Err(error) => Ok(not_valid(&error)),
        },
    }
}

fn not_valid(error: &ApiError) -> Response {
    message_page(error.status(), "This link does not work", error.detail(), &TO_SIGN_IN)
}
