//! The page of the second factor. Its responses contain secrets, so its forms have no idempotency
//! key, under which they would be kept.

#![expect(clippy::disallowed_methods, reason = "what concerns signing in takes no Idempotency-Key")]

use jobs::{
    engine::Scope,
    people::second_factor::{self, Enrolment, Proof, Standing},
};
use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, cookie::CookieJar},
};
use qrcode::{QrCode, render::svg};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::{
    account::current_password,
    frame::Frame,
    notice::Notice,
    parts::{Field, Refused},
    visitor::Visitor,
};
use crate::{
    ApiError,
    api::people::{acting, origin},
    html::{page, redirect},
    pages::Sent,
    state::AppState,
};

/// The path of the page.
pub(crate) const PATH: &str = "/me/second-factor";

const TITLE: &str = "Second factor";

/// The smallest picture of a QR code that cameras read from a screen, in pixels.
const QR_PIXELS: u32 = 220;

#[derive(askama::Template)]
#[template(path = "console/second_factor.html")]
struct StandingPage {
    frame: Frame,
    refused: Option<Refused>,
    standing: Standing,
    password: Option<Field>,
    proof: Vec<Field>,
}

#[derive(askama::Template)]
#[template(path = "console/second_factor_begun.html")]
struct BegunPage {
    frame: Frame,
    refused: Option<Refused>,
    /// The secret in groups, to type it.
    secret: String,
    /// The QR code, as SVG.
    picture: String,
    code: Field,
}

#[derive(askama::Template)]
#[template(path = "console/recovery_codes.html")]
struct CodesPage {
    frame: Frame,
    codes: Vec<String>,
}

#[derive(Deserialize)]
struct PasswordForm {
    password: Option<String>,
}

#[derive(Deserialize)]
struct CodeForm {
    code: String,
}

#[derive(Deserialize)]
struct ProofForm {
    password: Option<String>,
    code: String,
}

impl From<ProofForm> for Proof {
    fn from(form: ProofForm) -> Self {
        Self { password: form.password.map(Into::into), code: form.code }
    }
}

fn code(label: &'static str) -> Field {
    Field { autocomplete: "one-time-code", ..Field::text("code", label, "") }.required()
}

async fn standing_page(
    state: &AppState,
    visitor: &Visitor,
    status: StatusCode,
    refused: Option<Refused>,
) -> Result<Response> {
    let frame = Frame::new(state, visitor, TITLE).await?;
    let mut tx = state.db.read(Scope::System).await.map_err(ApiError::from)?;
    let standing = second_factor::get_standing(&mut tx, visitor.person.user_id).await.map_err(ApiError::from)?;
    let password = current_password(&mut tx, visitor, "password").await?;
    let proof = current_password(&mut tx, visitor, "password").await?.into_iter();
    let proof = proof.chain([code("Code of your app, or a recovery code")]).collect();
    Ok(page(status, &StandingPage { frame, refused, standing, password, proof }))
}

async fn refused_page(state: &AppState, visitor: &Visitor, error: &ApiError) -> Result<Response> {
    let refused = Refused { title: "Nothing was changed", words: error.detail().to_owned() };
    standing_page(state, visitor, error.status(), Some(refused)).await
}

/// Shows how it stands.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    standing_page(state, &visitor, StatusCode::OK, None).await
}

/// Makes a secret, and shows it for the app.
#[handler]
pub(super) async fn begin(
    Data(state): Data<&AppState>,
    request: &Request,
    visitor: Visitor,
    Sent(form): Sent<PasswordForm>,
) -> Result<Response> {
    let from = origin(request);
    let who = acting(visitor.person, &from);
    let begun = second_factor::begin(state.db.unkeyed(), &state.services, who, form.password.map(Into::into)).await;
    match begun.map_err(ApiError::from) {
        Ok(enrolment) => begun_page(state, &visitor, &enrolment).await,
        Err(error) => refused_page(state, &visitor, &error).await,
    }
}

async fn begun_page(state: &AppState, visitor: &Visitor, enrolment: &Enrolment) -> Result<Response> {
    let frame = Frame::new(state, visitor, TITLE).await?;
    let letters: Vec<char> = enrolment.secret.expose_secret().chars().collect();
    let secret = letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ");
    let picture = picture(enrolment.url.expose_secret())?;
    let code = code("Code that the app shows now");
    Ok(page(StatusCode::OK, &BegunPage { frame, refused: None, secret, picture, code }))
}

fn picture(url: &str) -> Result<String, ApiError> {
    let code = QrCode::new(url).map_err(ApiError::internal)?;
    let drawn = code.render::<svg::Color>().min_dimensions(QR_PIXELS, QR_PIXELS).build();
    // In a page, SVG has no declaration of XML before it.
    Ok(drawn.split_once("?>").map_or(drawn.clone(), |(_, svg)| svg.to_owned()))
}

/// Puts it into use, and shows the recovery codes.
#[handler]
pub(super) async fn confirm(
    Data(state): Data<&AppState>,
    request: &Request,
    visitor: Visitor,
    Sent(form): Sent<CodeForm>,
) -> Result<Response> {
    let from = origin(request);
    let who = acting(visitor.person, &from);
    match second_factor::confirm(state.db.unkeyed(), &state.services, who, &form.code).await.map_err(ApiError::from) {
        Ok(codes) => codes_page(state, &visitor, codes).await,
        Err(error) => {
            let words = format!("{} Begin again: the app then gets another secret.", error.detail());
            let refused = Refused { title: "The app is not set up", words };
            standing_page(state, &visitor, error.status(), Some(refused)).await
        }
    }
}

/// Makes new recovery codes.
#[handler]
pub(super) async fn renew(
    Data(state): Data<&AppState>,
    request: &Request,
    visitor: Visitor,
    Sent(form): Sent<ProofForm>,
) -> Result<Response> {
    let from = origin(request);
    let (db, who) = (state.db.unkeyed(), acting(visitor.person, &from));
    let renewed = second_factor::renew_recovery_codes(db, &state.services, who, form.into()).await;
    match renewed.map_err(ApiError::from) {
        Ok(codes) => codes_page(state, &visitor, codes).await,
        Err(error) => refused_page(state, &visitor, &error).await,
    }
}

async fn codes_page(state: &AppState, visitor: &Visitor, codes: Vec<String>) -> Result<Response> {
    let frame = Frame::new(state, visitor, "Recovery codes").await?;
    Ok(page(StatusCode::OK, &CodesPage { frame, codes }))
}

/// Removes it.
#[handler]
pub(super) async fn remove(
    Data(state): Data<&AppState>,
    request: &Request,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(form): Sent<ProofForm>,
) -> Result<Response> {
    let from = origin(request);
    let who = acting(visitor.person, &from);
    let removed = second_factor::remove(state.db.unkeyed(), &state.services, who, form.into()).await;
    match removed.map_err(ApiError::from) {
        Ok(()) => {
            Notice::ok("Your account asks for no code any more.").keep(state, cookies);
            Ok(redirect(PATH))
        }
        Err(error) => refused_page(state, &visitor, &error).await,
    }
}
