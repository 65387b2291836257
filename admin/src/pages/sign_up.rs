//! Registration and forgotten passwords, in a browser.

use jobs::{
    name::Name,
    people::{
        recover,
        sign_up::{self, NewPerson},
    },
};
use poem::{Request, Response, Result, handler, http::StatusCode, web::Data};
use serde::Deserialize;

use super::{external_login, form::Sent};
use crate::{
    ApiError,
    api::people::{address, count_client, evenly, require_mail},
    error::ErrorCode,
    html::{Field, FormPage, Link, message_page},
    state::AppState,
};

const TO_SIGN_IN: [Link; 1] = [("/sign-in", "Sign in")];

#[derive(Deserialize)]
struct SignUp {
    name: String,
    email: String,
    password: String,
    organization_name: String,
}

fn form(state: &AppState, sent: Option<&SignUp>) -> FormPage {
    let said = |field: fn(&SignUp) -> &String| sent.map_or("", |sent| field(sent));
    let organization = Field {
        label: "Restaurant, agency or artist",
        name: "organization_name",
        kind: "text",
        autocomplete: "organization",
        value: said(|sent| &sent.organization_name).to_owned(),
        hint: None,
    };
    FormPage {
        title: "Make an account",
        fields: vec![
            Field::name(said(|sent| &sent.name)),
            organization,
            Field::email(said(|sent| &sent.email)),
            Field::new_password(),
        ],
        button: "Make an account",
        ways: external_login::ways(state),
        links: TO_SIGN_IN.to_vec(),
        ..FormPage::default()
    }
}

/// Shows the form, or the reason for which there is none.
#[handler]
pub(super) fn show(Data(state): Data<&AppState>) -> Response {
    let sign_up = state.services.sign_up;
    if !sign_up.admits(false) {
        let refusal = ApiError::from(sign_up);
        return message_page(refusal.status(), "You cannot make an account", refusal.detail(), &TO_SIGN_IN);
    }
    if let Err(refusal) = require_mail(state) {
        return without_mail(state, &refusal);
    }
    form(state, None).response()
}

/// Returns the page that replaces the form if no mail can be sent to confirm an address.
fn without_mail(state: &AppState, refusal: &ApiError) -> Response {
    let ways = external_login::ways(state);
    let else_by = if ways.is_empty() { "" } else { " Until then, use one of these:" };
    let lead = format!(
        "You cannot make an account with a password, because no mail can be sent to confirm your address. {}{else_by}",
        refusal.detail()
    );
    let page = FormPage {
        title: "Make an account",
        lead: Some(lead),
        ways,
        links: TO_SIGN_IN.to_vec(),
        ..FormPage::default()
    };
    page.response()
}

/// Registers somebody.
#[handler]
pub(super) async fn submit(
    Data(state): Data<&AppState>,
    request: &Request,
    Sent(sent): Sent<SignUp>,
) -> Result<Response> {
    if let Err(error) = register(state, request, &sent).await {
        return Ok(form(state, Some(&sent)).refused(&error));
    }
    Ok(mailed(&sent.email))
}

async fn register(state: &AppState, request: &Request, sent: &SignUp) -> Result<(), ApiError> {
    let named = |whose: &str, text: &str, most| {
        Name::parse(text, 1..=most)
            .map_err(|rule| ApiError::unprocessable(ErrorCode::BadName, format!("{whose} should have {rule}.")))
    };
    let name = named("Your name", &sent.name, 100)?;
    let organization_name = named("The organization's name", &sent.organization_name, 200)?;
    let email = address(&sent.email)?;
    require_mail(state)?;
    count_client(state, request).await?;
    let person = NewPerson { name, email, password: sent.password.clone().into(), organization_name };
    Ok(evenly(sign_up::register(state.db.unkeyed(), &state.services, person)).await?)
}

fn mailed(email: &str) -> Response {
    let words =
        format!("Open the link in the mail to {email}. It may take a minute to arrive. Look into the spam folder too.");
    message_page(StatusCode::ACCEPTED, "Check your mail", &words, &TO_SIGN_IN)
}

#[derive(Deserialize)]
struct Forgot {
    email: String,
}

fn forgot_form(email: &str) -> FormPage {
    FormPage {
        title: "Forgot the password?",
        lead: Some("We send you a mail with a link to choose a new one.".to_owned()),
        fields: vec![Field::email(email)],
        button: "Send the mail",
        links: TO_SIGN_IN.to_vec(),
        ..FormPage::default()
    }
}

/// Shows the form for a forgotten password.
#[handler]
pub(super) fn show_forgot() -> Response {
    forgot_form("").response()
}

/// Mails a link to choose a new password.
#[handler]
pub(super) async fn submit_forgot(
    Data(state): Data<&AppState>,
    request: &Request,
    Sent(sent): Sent<Forgot>,
) -> Result<Response> {
    let asked = async {
        let email = address(&sent.email)?;
        require_mail(state)?;
        count_client(state, request).await?;
        Ok::<_, ApiError>(evenly(recover::forgot(state.db.unkeyed(), &email)).await?)
    };
    match asked.await {
        Ok(()) => Ok(mailed(&sent.email)),
        Err(error) => Ok(forgot_form(&sent.email).refused(&error)),
    }
}
