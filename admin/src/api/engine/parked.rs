//! Parked accounts, whose jobs wait.

use chrono::{DateTime, Utc};
use jobs::{
    engine::parked::{self, ParkedRow},
    ids::AccountId,
    operations,
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    ApiError,
    api::Tag,
    auth::{Audience, Caller, Needs},
    database::Answered,
    http::paging::{Listed, Page, Paging},
    state::AppState,
};

/// A parked account.
#[derive(Debug, Object)]
struct ParkedView {
    tenant_id: Uuid,
    account_id: Uuid,
    /// The time at which its jobs try again by themselves.
    until: DateTime<Utc>,
    /// The reason: class, message and, for operators, causes.
    reason: Value,
    parked_at: DateTime<Utc>,
}

impl ParkedView {
    fn of(row: ParkedRow, audience: Audience) -> Self {
        Self {
            tenant_id: row.tenant_id.0,
            account_id: row.account_id,
            until: row.until,
            reason: audience.facts(row.reason),
            parked_at: row.parked_at,
        }
    }
}

impl Listed for ParkedView {
    const PAGE: &'static str = "ParkedPage";
    const DESCRIPTION: &'static str = "A page of parked accounts.";
}

/// The end of a parking.
#[derive(Debug, Object)]
struct ReleasedView {
    account_id: Uuid,
    /// The number of jobs that waited for the account and run now.
    resumed: u64,
}

pub(crate) struct ParkedApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Engine")]
impl ParkedApi {
    /// List the accounts whose jobs wait, the latest first.
    ///
    /// Either a provider limits them, or their user has to connect them again.
    #[oai(path = "/parked-accounts", method = "get", operation_id = "list_parked_accounts")]
    async fn list(
        &self,
        #[oai(scope = "Needs::EngineRead")] caller: Caller,
        tenant_id: Query<Option<Uuid>>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<ParkedView>>, ApiError> {
        let paging = Paging::read(&after, &limit)?;
        let scope = caller.scope_of(tenant_id.0)?;
        let tenant_id = match tenant_id.0 {
            Some(named) => Some(caller.tenant(named)?),
            None => caller.own_tenant()?,
        };
        let mut tx = self.state.db.read(scope).await?;
        let mut rows = parked::list(&mut tx, tenant_id, paging.after, paging.rows()).await?;
        let next = paging.next(&mut rows, |row| (row.parked_at, row.account_id));
        Ok(Json(Page { items: rows.into_iter().map(|row| ParkedView::of(row, caller.audience())).collect(), next }))
    }

    /// Release a parked account, so that its jobs run now.
    ///
    /// If the cause of the wait is still there, they are parked again.
    #[oai(path = "/parked-accounts/:account_id/release", method = "post", operation_id = "release_parked_account")]
    async fn release(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        account_id: Path<Uuid>,
    ) -> Result<Answered<Json<ReleasedView>>, ApiError> {
        let (id, services) = (AccountId(account_id.0), &self.state.services);
        let mut tx = self.state.db.write(caller.scope()?, &caller).await?;
        let released = operations::release_account(&mut tx, services, caller.actor(), id).await?;
        let released = released.ok_or_else(|| ApiError::not_found("parked account"))?;
        tx.answer(Json(ReleasedView { account_id: account_id.0, resumed: released.resumed })).await
    }
}
