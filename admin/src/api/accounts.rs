//! Connected accounts.

use chrono::{DateTime, Utc};
use jobs::{
    connections::{
        self, Waiting,
        store::{self, AccountRow, AccountStatus, TokenHealth},
    },
    engine::{Scope, Tx},
    ids::AccountId,
    providers::Connector,
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, jobs::Accepted, require_tenant},
    auth::{Caller, Needs},
    database::Answered,
    state::AppState,
};

/// An account to publish on.
#[derive(Debug, Object)]
pub(crate) struct AccountView {
    id: Uuid,
    /// The network, such as `facebook`.
    platform: String,
    /// The account's id at the provider.
    remote_id: String,
    name: String,
    /// `active`, `needs_reauth` when its user has to connect it again, or `disconnected`.
    status: String,
    /// The reason for the status, or what a disconnect left to do.
    status_reason: Option<String>,
    /// The id of the user's token that the account depends on, for `refresh_token` jobs.
    user_token_id: Uuid,
    /// The time at which the token expires unless it is refreshed.
    token_expires_at: Option<DateTime<Utc>>,
    /// The time at which the connection ends unless its person connects again, if that is within 14
    /// days.
    ends_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl From<AccountRow> for AccountView {
    fn from(row: AccountRow) -> Self {
        Self {
            id: row.id.0,
            platform: row.platform.0,
            remote_id: row.remote_id,
            name: row.name,
            status: row.status.name().to_owned(),
            status_reason: row.status_reason,
            user_token_id: row.user_token_id.0,
            token_expires_at: row.token_expires_at,
            ends_at: row.ends_at,
            created_at: row.created_at,
        }
    }
}

/// The accounts of a tenant.
#[derive(Debug, Object)]
pub(crate) struct AccountList {
    items: Vec<AccountView>,
}

/// The health of an account's connection.
#[derive(Debug, Object)]
pub(crate) struct TokenHealthView {
    account_id: Uuid,
    /// `active`, `needs_reauth` when its user has to connect it again, or `disconnected`.
    status: String,
    /// The reason for the status, or what a disconnect left to do.
    status_reason: Option<String>,
    /// The time at which the token expires unless it is refreshed.
    expires_at: Option<DateTime<Utc>>,
    /// The time at which the person has to agree again at the provider, whatever is refreshed.
    data_access_expires_at: Option<DateTime<Utc>>,
    /// The time at which the connection ends unless its person connects again, if that is within 14
    /// days. Null while refreshes work.
    ends_at: Option<DateTime<Utc>>,
    /// The permissions that the person granted.
    scopes_granted: Vec<String>,
    /// The permissions that the person was asked for and did not grant.
    scopes_missing: Vec<String>,
    /// The time of the last refresh that succeeded, or of connecting.
    last_refresh_at: DateTime<Utc>,
    /// The time of the last refresh, if it failed.
    last_refresh_failed_at: Option<DateTime<Utc>>,
    /// The reason for that failure.
    last_error: Option<String>,
    /// The time from which the token is refreshed. Null if that needs the person, or never happens.
    next_refresh_at: Option<DateTime<Utc>>,
    /// The time at which the provider last described the token.
    checked_at: Option<DateTime<Utc>>,
}

impl TokenHealthView {
    fn of(row: TokenHealth, asked_for: &[&str]) -> Self {
        let is_granted = |scope: &&&str| row.scopes.iter().any(|granted| granted == **scope);
        let missing = asked_for.iter().filter(|scope| !is_granted(scope));
        Self {
            account_id: row.account_id.0,
            status: row.status.name().to_owned(),
            status_reason: row.status_reason,
            expires_at: row.expires_at,
            data_access_expires_at: row.data_access_expires_at,
            ends_at: row.deadline,
            scopes_missing: missing.map(|&scope| scope.to_owned()).collect(),
            scopes_granted: row.scopes,
            last_refresh_at: row.refreshed_at,
            last_refresh_failed_at: row.refresh_failed_at,
            last_error: row.refresh_error,
            next_refresh_at: row.next_refresh_at,
            checked_at: row.checked_at,
        }
    }
}

/// The fate of an account's waiting work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum WaitingWork {
    /// It is cancelled.
    Cancel,
    /// It waits until somebody connects the account again.
    Pause,
}

impl From<WaitingWork> for Waiting {
    fn from(waiting: WaitingWork) -> Self {
        match waiting {
            WaitingWork::Cancel => Self::Cancel,
            WaitingWork::Pause => Self::Pause,
        }
    }
}

pub(crate) struct AccountsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl AccountsApi {
    /// List the connected accounts of a tenant.
    #[oai(path = "/tenants/:id/accounts", method = "get", operation_id = "list_accounts")]
    async fn list(
        &self,
        #[oai(scope = "Needs::AccountsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<AccountList>, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        let accounts = store::list_accounts(&mut tx, id).await?;
        Ok(Json(AccountList { items: accounts.into_iter().map(AccountView::from).collect() }))
    }

    /// Get the health of an account's connection.
    #[oai(path = "/accounts/:id/token-health", method = "get", operation_id = "get_token_health")]
    async fn health(
        &self,
        #[oai(scope = "Needs::AccountsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<TokenHealthView>, ApiError> {
        let mut tx = self.state.db.read(caller.scope()?).await?;
        let health = self.read_health(&mut tx, AccountId(id.0)).await?;
        let connector = health.platform.known().and_then(|known| self.state.services.providers.connector(known));
        let asked_for = connector.map(Connector::scopes).unwrap_or_default();
        Ok(Json(TokenHealthView::of(health, &asked_for)))
    }

    /// Refresh an account's connection now.
    ///
    /// A job exchanges the token for one with a fresh life, and reads the accounts again.
    #[oai(path = "/accounts/:id/refresh", method = "post", operation_id = "refresh_account")]
    async fn refresh(
        &self,
        #[oai(scope = "Needs::AccountsWrite")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Accepted>, ApiError> {
        let mut tx = self.state.db.write(caller.scope()?, &caller).await?;
        let health = self.read_health(&mut tx, AccountId(id.0)).await?;
        if health.status == AccountStatus::Disconnected {
            return Err(ApiError::disconnected());
        }
        self.state.services.providers.connector(health.platform.known()?)?;
        let job = connections::request_refresh(&mut tx, &self.state.services, caller.actor(), &health).await?;
        tx.answer(Accepted::job(job.id, job.is_new, usize::from(job.is_new))).await
    }

    /// Disconnect an account.
    ///
    /// Its tokens are erased at once. A job cancels or pauses what waits, and revokes the permission
    /// at the provider, unless other accounts of the same person need it. The job's result says
    /// what was revoked, and why something was not. The account and its history stay, and can be
    /// connected again.
    #[oai(path = "/accounts/:id", method = "delete", operation_id = "disconnect_account")]
    async fn disconnect(
        &self,
        #[oai(scope = "Needs::AccountsWrite")] caller: Caller,
        id: Path<Uuid>,
        /// The fate of the work that waits for the account: `cancel`, unless set.
        waiting: Query<Option<WaitingWork>>,
    ) -> Result<Answered<Accepted>, ApiError> {
        let waiting = waiting.0.unwrap_or(WaitingWork::Cancel).into();
        let mut tx = self.state.db.write(caller.scope()?, &caller).await?;
        let job = connections::disconnect(&mut tx, &self.state.services, caller.actor(), AccountId(id.0), waiting);
        let job = job.await?.ok_or_else(|| ApiError::not_found("account"))?;
        tx.answer(Accepted::job(job.id, job.is_new, usize::from(job.is_new))).await
    }
}

impl AccountsApi {
    async fn read_health(&self, tx: &mut Tx, id: AccountId) -> Result<TokenHealth, ApiError> {
        let upkeep = self.state.services.upkeep;
        let (days, interval) = (upkeep.token_refresh_threshold_days.into(), upkeep.token_refresh_interval);
        let health = store::get_token_health(tx, id, days, interval).await?;
        health.ok_or_else(|| ApiError::not_found("account"))
    }
}
