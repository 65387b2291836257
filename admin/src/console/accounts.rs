//! The accounts of a workspace: whether they work, connecting them, and links for clients.

mod account;
mod links;

use jobs::{
    connections::{
        self, Waiting,
        store::{self, AccountStatus},
    },
    engine::Scope,
    ids::AccountId,
    providers::Provider,
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;
use uuid::Uuid;

pub(super) use self::links::{make as make_link, revoke as revoke_link};
use self::{account::Account, links::Links};
use super::{connections::begin_address, frame::Frame, notice::Notice, parts::Live, visitor::Visitor, words};
use crate::{ApiError, html::page, pages::Sent, state::AppState};

/// The address of the page.
pub(super) const PATH: &str = "/accounts";

/// The accounts on one page.
const ROWS: i64 = 50;

/// The permission to connect accounts.
const MAY_CHANGE: &str = "accounts:write";

#[derive(askama::Template)]
#[template(path = "console/accounts.html")]
struct AccountsPage {
    frame: Frame,
    accounts: Vec<Account>,
    /// The addresses that connect an account, by the provider; none for those who may not.
    connect: Vec<(Provider, String)>,
    links: Option<Links>,
    /// The address of further accounts.
    next: Option<String>,
    live: Live,
}

/// Shows the page.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    let tenant_id = visitor.required_workspace()?;
    let may_change = visitor.may(MAY_CHANGE);
    let from: i64 = visitor.asked("from").and_then(|from| from.parse().ok()).filter(|from| *from > 0).unwrap_or(0);
    let upkeep = state.services.upkeep;
    let (days, interval) = (upkeep.token_refresh_threshold_days.into(), upkeep.token_refresh_interval);
    let mut tx = state.db.read(Scope::Tenant(tenant_id)).await.map_err(ApiError::from)?;
    let now = tx.now().await.map_err(ApiError::from)?;
    let listed = store::list_token_health(&mut tx, tenant_id, days, interval, (from, ROWS + 1)).await;
    let mut listed = listed.map_err(ApiError::from)?;
    let links = if may_change { Some(Links::read(&mut tx, state, &visitor, now).await?) } else { None };
    drop(tx);
    let has_more = listed.len() > usize::try_from(ROWS).unwrap_or(usize::MAX);
    listed.truncate(usize::try_from(ROWS).unwrap_or(usize::MAX));
    let connect = if may_change { offered(state) } else { Vec::new() };
    let accounts = listed.iter().map(|row| Account::of(row, state, &visitor, may_change, now)).collect();
    let shown = AccountsPage {
        frame: Frame::new(state, &visitor, "Accounts").await?,
        accounts,
        connect: connect
            .into_iter()
            .map(|provider| (provider, begin_address(&visitor, provider.name(), None)))
            .collect(),
        links,
        next: has_more.then(|| visitor.to(&format!("{PATH}?from={}", from.saturating_add(ROWS)))),
        live: Live { parts: "accounts", stream: None },
    };
    Ok(page(StatusCode::OK, &shown))
}

/// Returns the providers at which accounts can be connected.
fn offered(state: &AppState) -> Vec<Provider> {
    Provider::ALL.into_iter().filter(|provider| state.services.providers.connecting(*provider).is_ok()).collect()
}

/// The form to disconnect an account.
#[derive(Deserialize)]
struct Leave {
    waiting: Waiting,
}

/// Disconnects an account.
#[handler]
pub(super) async fn disconnect(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(id): Path<String>,
    Sent(Leave { waiting }): Sent<Leave>,
) -> Result<Response> {
    let (tenant_id, id) = (visitor.required_workspace()?, account_id(&id)?);
    let mut tx = state.db.write(Scope::Tenant(tenant_id), &visitor.caller).await.map_err(ApiError::from)?;
    let job = connections::disconnect(&mut tx, &state.services, visitor.caller.actor(), id, waiting).await;
    job.map_err(ApiError::from)?.ok_or_else(|| ApiError::not_found("account"))?;
    let posts = match waiting {
        Waiting::Cancel => "What waited is being cancelled.",
        Waiting::Pause => "What waits goes out once it is connected again.",
    };
    Notice::ok(format!("The account is disconnected, and its tokens are erased. {posts}")).keep(state, cookies);
    visitor.leave(tx, PATH).await
}

/// The form has a button only.
#[derive(Deserialize)]
struct Pressed {}

fn account_id(id: &str) -> Result<AccountId, ApiError> {
    id.parse::<Uuid>().map(AccountId).map_err(|_| ApiError::not_found("account"))
}

/// Asks the provider now for a fresh token.
#[handler]
pub(super) async fn refresh(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(id): Path<String>,
    Sent(Pressed {}): Sent<Pressed>,
) -> Result<Response> {
    let (tenant_id, id) = (visitor.required_workspace()?, account_id(&id)?);
    let upkeep = state.services.upkeep;
    let (days, interval) = (upkeep.token_refresh_threshold_days.into(), upkeep.token_refresh_interval);
    let mut tx = state.db.write(Scope::Tenant(tenant_id), &visitor.caller).await.map_err(ApiError::from)?;
    let health = store::get_token_health(&mut tx, id, days, interval).await.map_err(ApiError::from)?;
    let health = health.ok_or_else(|| ApiError::not_found("account"))?;
    if health.status == AccountStatus::Disconnected {
        return Err(ApiError::disconnected().into());
    }
    connections::request_refresh(&mut tx, &state.services, visitor.caller.actor(), &health)
        .await
        .map_err(ApiError::from)?;
    Notice::ok(format!(
        "{} is being asked about {}. The page shows the result.",
        words::of_name(&health.provider.0),
        health.name
    ))
    .keep(state, cookies);
    visitor.leave(tx, PATH).await
}
