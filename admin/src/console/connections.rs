//! Connecting accounts: the link that begins it, its progress, and the choice of accounts.

use jobs::{
    connections::{self, Attempt, AttemptState, ChooseError, store::NewLogin},
    engine::Scope,
    ids::{AccountId, OauthStateId, TenantId},
};
use poem::{
    IntoResponse as _, Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, Path},
};
use uuid::Uuid;

use super::{frame::Frame, parts::Live, visitor::Visitor};
use crate::{
    ApiError,
    api::connections::connecting as provider_named,
    auth::is_foreign,
    connecting::{self, Reader, Shown},
    html::{message_page, page, redirect},
    pages::{Sent, ticked},
    state::AppState,
};

#[derive(askama::Template)]
#[template(path = "console/connection.html")]
struct ConnectionPage {
    frame: Frame,
    shown: Shown,
    live: Option<Live>,
    address: String,
    /// The address that begins anew.
    again: String,
}

/// Begins to connect an account, or to connect one again, and sends the browser on its way. Other
/// sites only get it to ask.
#[handler]
pub(super) async fn begin(
    Data(state): Data<&AppState>,
    request: &Request,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response> {
    let tenant_id = visitor.required_workspace()?;
    let provider = provider_named(state, name)?;
    if is_foreign(request) {
        let words = format!("You go on to {}, where you choose what to connect.", provider.label());
        let address = format!("{}?{}", visitor.path, visitor.query);
        return Ok(message_page(StatusCode::OK, "Connect your accounts?", &words, &[(address.as_str(), "Continue")]));
    }
    let account_id = visitor.asked("account").map(|id| id.parse().map(AccountId));
    let new = NewLogin {
        tenant_id,
        provider,
        user_id: Some(visitor.person.user_id),
        account_id: account_id.transpose().map_err(|_| ApiError::not_found("account"))?,
        connect_link_id: None,
    };
    let mut tx = state.db.write(Scope::Tenant(tenant_id), &visitor.caller).await.map_err(ApiError::from)?;
    let begun = connections::authorize(&mut tx, &state.services, visitor.caller.actor(), &new, state.state_life).await;
    let begun = begun.map_err(ApiError::from)?.ok_or_else(|| ApiError::not_found("tenant"))?;
    Ok(tx.answer(redirect(&format!("/connect/{}", begun.ticket))).await?.into_response())
}

/// Returns the address that begins to connect an account at a provider.
pub(super) fn begin_address(visitor: &Visitor, provider: &str, account_id: Option<AccountId>) -> String {
    let path = format!("/accounts/connect/{provider}");
    visitor.to(&account_id.map_or(path.clone(), |id| format!("{path}?account={id}")))
}

/// Shows how connecting goes on.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor, Path(id): Path<String>) -> Result<Response> {
    let at = (visitor.required_workspace()?, login_id(&id)?);
    Ok(page(StatusCode::OK, &shown(state, &visitor, at, None).await?))
}

/// Connects the accounts that are ticked.
#[handler]
pub(super) async fn choose(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    Sent(fields): Sent<Vec<(String, String)>>,
) -> Result<Response> {
    let at = (visitor.required_workspace()?, login_id(&id)?);
    let mut tx = state.db.write(Scope::Tenant(at.0), &visitor.caller).await.map_err(ApiError::from)?;
    read(&mut tx, at).await?;
    match connections::choose(&mut tx, &state.services, visitor.caller.actor(), at, &ticked(&fields)).await {
        Ok(_) | Err(ChooseError::Over) => visitor.leave(tx, &format!("/connections/{}", at.1)).await,
        Err(error @ (ChooseError::Nothing | ChooseError::Unknown(_) | ChooseError::Elsewhere(_))) => {
            drop(tx);
            let words = connecting::of_choice(&error);
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &shown(state, &visitor, at, Some(words)).await?))
        }
        Err(error) => Err(ApiError::from(error).into()),
    }
}

fn login_id(id: &str) -> Result<OauthStateId, ApiError> {
    id.parse::<Uuid>().map(OauthStateId).map_err(|_| ApiError::not_found("connection"))
}

async fn read(tx: &mut jobs::engine::Tx, (tenant_id, id): (TenantId, OauthStateId)) -> Result<Attempt, ApiError> {
    let attempt = connections::get_attempt(tx, tenant_id, id).await?;
    attempt.ok_or_else(|| ApiError::not_found("connection"))
}

async fn shown(
    state: &AppState,
    visitor: &Visitor,
    at: (TenantId, OauthStateId),
    refused: Option<String>,
) -> Result<ConnectionPage, ApiError> {
    let mut tx = state.db.read(Scope::Tenant(at.0)).await?;
    let attempt = read(&mut tx, at).await?;
    let failure = connecting::last_failure(&mut tx, &attempt).await?;
    drop(tx);
    let declined = connecting::declined(&state.services.providers, attempt.provider.known()?, &attempt.report);
    let shown = Shown { failure, refused, ..Shown::of(&attempt, declined, Reader::Member)? };
    Ok(ConnectionPage {
        frame: Frame::new(state, visitor, "Connect an account").await?,
        live: live(&attempt, visitor),
        address: visitor.to(&format!("/connections/{}", at.1)),
        again: begin_address(visitor, &attempt.provider.0, attempt.account_id),
        shown,
    })
}

/// Follows the job that exchanges the code.
fn live(attempt: &Attempt, visitor: &Visitor) -> Option<Live> {
    let job_id = attempt.job_id.filter(|_| matches!(attempt.state, AttemptState::Exchanging))?;
    let stream = format!("/api/v1/jobs/{job_id}/events?tenant_id={}", attempt.tenant_id);
    Some(Live { parts: "connecting", stream: visitor.may("jobs:read").then_some(stream) })
}
