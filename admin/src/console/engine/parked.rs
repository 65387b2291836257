//! Parked accounts, whose jobs wait: why, until when, and releasing them.

use chrono::{DateTime, Utc};
use jobs::{
    connections::store::{self, AccountName},
    engine::parked::{self, ParkedRow},
    ids::AccountId,
    operations,
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;

use super::MAY_CHANGE;
use crate::{
    ApiError,
    console::{
        frame::Frame,
        notice::Notice,
        visitor::Visitor,
        words::{self, When},
    },
    html::page,
    http::paging::{decode, encode},
    pages::Sent,
    state::AppState,
};

/// The accounts on one page.
const ROWS: i64 = 50;

#[derive(askama::Template)]
#[template(path = "console/engine/parked.html")]
struct ParkedPage {
    frame: Frame,
    accounts: Vec<Account>,
    next: Option<String>,
    may_change: bool,
    jobs_address: String,
}

/// A parked account.
struct Account {
    name: String,
    /// Its tenant, where several are shown.
    tenant: String,
    reason: String,
    since: When,
    until: When,
    address: String,
    jobs_address: String,
}

impl Account {
    fn of(row: &ParkedRow, names: &[AccountName], visitor: &Visitor, now: DateTime<Utc>) -> Self {
        let known = names.iter().find(|known| known.id.0 == row.account_id);
        Self {
            name: known.map_or_else(
                || row.account_id.to_string(),
                |known| format!("{} on {}", known.name, words::of_name(&known.platform.0)),
            ),
            tenant: known.filter(|_| visitor.workspace.is_none()).map(|known| known.tenant.clone()).unwrap_or_default(),
            reason: row.reason["message"].as_str().unwrap_or("No reason was given.").to_owned(),
            since: When::of(row.parked_at, now),
            until: When::of(row.until, now),
            address: visitor.to(&format!("/jobs/parked/{}", row.account_id)),
            jobs_address: visitor.to(&format!("/jobs?account={}", row.account_id)),
        }
    }
}

/// Shows them.
#[handler]
pub(in super::super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    Ok(page(StatusCode::OK, &shown(state, &visitor).await?))
}

async fn shown(state: &AppState, visitor: &Visitor) -> Result<ParkedPage, ApiError> {
    let after = visitor.asked("after").and_then(|after| decode(&after));
    let mut tx = state.db.read(visitor.scope()?).await?;
    let now = tx.now().await?;
    let rows = parked::list(&mut tx, visitor.workspace, after, ROWS).await?;
    let ids: Vec<AccountId> = rows.iter().map(|row| AccountId(row.account_id)).collect();
    let names = store::account_names(&mut tx, &ids).await?;
    drop(tx);
    let is_full = i64::try_from(rows.len()).unwrap_or(i64::MAX) == ROWS;
    let last = rows.last().filter(|_| is_full).map(|row| encode(&(row.parked_at, row.account_id)));
    Ok(ParkedPage {
        frame: Frame::new(state, visitor, "Parked accounts").await?,
        accounts: rows.iter().map(|row| Account::of(row, &names, visitor, now)).collect(),
        next: last.map(|place| visitor.to(&format!("/jobs/parked?after={place}"))),
        may_change: visitor.may(MAY_CHANGE),
        jobs_address: visitor.to("/jobs"),
    })
}

/// The form has a button only.
#[derive(Deserialize)]
struct Pressed {}

/// Releases an account: its jobs run now.
#[handler]
pub(in super::super) async fn release(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(id): Path<String>,
    Sent(Pressed {}): Sent<Pressed>,
) -> Result<Response> {
    let id = id.parse().map(AccountId).map_err(|_| ApiError::not_found("parked account"))?;
    let (services, actor) = (&state.services, visitor.caller.actor());
    let mut tx = state.db.write(visitor.scope()?, &visitor.caller).await.map_err(ApiError::from)?;
    match operations::release_account(&mut tx, services, actor, id).await.map_err(ApiError::from)? {
        Some(released) => {
            let jobs = words::count(i64::try_from(released.resumed).unwrap_or(i64::MAX), "job runs", "jobs run");
            Notice::ok(format!("The account is released: {jobs} now.")).keep(state, cookies);
        }
        None => Notice::info("The account was not parked any more.").keep(state, cookies),
    }
    visitor.leave(tx, "/jobs/parked").await
}
