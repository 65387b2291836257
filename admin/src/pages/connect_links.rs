//! Connecting without an account here: the page of a link, and the result.

use jobs::{
    audit::Actor,
    connections::{self, Attempt, ChooseError, ExchangeOauthCode, OpenError, store::OpenLink},
    engine::{Job as _, Tx},
    ids::OauthStateId,
    secrets::fingerprint,
};
use poem::{
    Request, Response, Result, handler,
    http::{HeaderValue, StatusCode, header},
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{connect, form::Sent, ticked};
use crate::{
    ApiError,
    api::{connections::done_cookie_name, people::count_client},
    connecting::{self, Reader, Shown},
    html::{FormPage, message_page, onward, page, redirect},
    http::cookies,
    state::AppState,
};

/// The seconds after which the result is looked at again while a job works on it.
const AGAIN_SECONDS: &str = "2";

/// The form, which has only a button.
#[derive(Deserialize)]
struct Pressed {}

#[derive(askama::Template)]
#[template(path = "connection.html")]
struct DonePage {
    title: &'static str,
    shown: Shown,
}

/// Shows whose link it is.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, Path(secret): Path<String>) -> Result<Response> {
    let shown = async {
        let mut tx = state.db.unkeyed().system().await?;
        match connections::find_link(&mut tx, &secret).await? {
            Some(link) => question(state, &link),
            None => Ok(not_valid()),
        }
    };
    Ok(shown.await.unwrap_or_else(|error: ApiError| connect::failed(&error)))
}

fn question(state: &AppState, link: &OpenLink) -> Result<Response, ApiError> {
    let provider = link.provider.known()?;
    state.services.providers.connecting(provider)?;
    let (label, noun, tenant) = (provider.label(), provider.account_noun(), &link.tenant);
    let lead = format!(
        "\u{201c}{tenant}\u{201d} asks to publish on your {label} {noun}s. You go on to {label}, where you choose what to \
         share. If you do not know them, close this page."
    );
    let page =
        FormPage { title: "Connect your accounts?", lead: Some(lead), button: "Continue", ..FormPage::default() };
    Ok(page.response())
}

/// Begins a login in this browser.
#[handler]
pub(super) async fn submit(
    Data(state): Data<&AppState>,
    request: &Request,
    Path(secret): Path<String>,
    jar: &CookieJar,
    Sent(Pressed {}): Sent<Pressed>,
) -> Result<Response> {
    let opened = async {
        count_client(state, request).await?;
        let mut tx = state.db.unkeyed().system().await?;
        let Some(link) = connections::find_link(&mut tx, &secret).await? else {
            return Ok(not_valid());
        };
        match connections::open_link(&mut tx, &state.services.providers, &link, state.state_life).await {
            Ok(Some(opened)) => {
                tx.commit().await?;
                Ok(onward(connect::bind(state, jar, opened).as_str()))
            }
            Ok(None) => Ok(not_valid()),
            Err(OpenError::NotOffered(error)) => Err(error.into()),
            Err(OpenError::Database(error)) => Err(error.into()),
        }
    };
    Ok(opened.await.unwrap_or_else(|error: ApiError| connect::failed(&error)))
}

/// Shows the result to the browser that finished the login.
#[handler]
pub(super) async fn show_done(
    Data(state): Data<&AppState>,
    jar: &CookieJar,
    Path(id): Path<String>,
) -> Result<Response> {
    let shown = async {
        let mut tx = state.db.unkeyed().system().await?;
        match find(state, &mut tx, jar, &id).await? {
            Some(attempt) => done(state, &mut tx, &attempt, None).await,
            None => Ok(nothing_here()),
        }
    };
    Ok(shown.await.unwrap_or_else(|error: ApiError| connect::failed(&error)))
}

/// Connects the accounts that are ticked.
#[handler]
pub(super) async fn choose(
    Data(state): Data<&AppState>,
    jar: &CookieJar,
    Path(id): Path<String>,
    Sent(fields): Sent<Vec<(String, String)>>,
) -> Result<Response> {
    let chosen = async {
        let mut tx = state.db.unkeyed().system().await?;
        let Some(attempt) = find(state, &mut tx, jar, &id).await? else {
            return Ok(nothing_here());
        };
        let Some(job_id) = attempt.job_id else {
            return Ok(nothing_here());
        };
        // Nobody of the workspace chooses: the login does, which its job began.
        let actor = Actor::job(job_id, ExchangeOauthCode::KIND);
        let at = (attempt.tenant_id, attempt.id);
        match connections::choose(&mut tx, &state.services, &actor, at, &ticked(&fields)).await {
            Ok(_) => {
                tx.commit().await?;
                Ok(redirect(&format!("/connect/done/{}", attempt.id)))
            }
            Err(ChooseError::Over) => Ok(redirect(&format!("/connect/done/{}", attempt.id))),
            Err(error @ (ChooseError::Nothing | ChooseError::Unknown(_) | ChooseError::Elsewhere(_))) => {
                let words = connecting::of_choice(&error);
                done(state, &mut tx, &attempt, Some(words)).await
            }
            Err(error) => Err(error.into()),
        }
    };
    Ok(chosen.await.unwrap_or_else(|error: ApiError| connect::failed(&error)))
}

async fn find(state: &AppState, tx: &mut Tx, jar: &CookieJar, id: &str) -> Result<Option<Attempt>, ApiError> {
    let Ok(id) = id.parse::<Uuid>().map(OauthStateId) else {
        return Ok(None);
    };
    let Some(browser) = cookies::read(jar, state, &done_cookie_name(id)) else {
        return Ok(None);
    };
    Ok(connections::find_attempt_of_browser(tx, id, &fingerprint(&browser)).await?)
}

async fn done(state: &AppState, tx: &mut Tx, attempt: &Attempt, refused: Option<String>) -> Result<Response, ApiError> {
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let failure = connecting::last_failure(tx, attempt).await?;
    let declined = connecting::declined(&state.services.providers, attempt.provider.known()?, &attempt.report);
    let shown = Shown { failure, refused, ..Shown::of(attempt, declined, Reader::Visitor)? };
    let is_going_on = shown.is_going_on;
    let mut response = page(status, &DonePage { title: "Connect your accounts", shown });
    if is_going_on {
        response.headers_mut().insert(header::REFRESH, HeaderValue::from_static(AGAIN_SECONDS));
    }
    Ok(response)
}

fn not_valid() -> Response {
    let words = "This link was revoked, or is older than a week. Ask for a new one.";
    message_page(StatusCode::NOT_FOUND, "Link not valid", words, &[])
}

fn nothing_here() -> Response {
    let words =
        "Only the browser that connected the accounts shows the result, for an hour. Ask whoever sent you the link.";
    message_page(StatusCode::NOT_FOUND, "Nothing to see here", words, &[])
}
