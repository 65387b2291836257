//! Connected accounts.

use chrono::{DateTime, Utc};
use jobs::{
    connections::store::{self, AccountRow},
    engine::Scope,
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, require_tenant},
    auth::{Caller, Needs},
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
    /// `active`, or `needs_reauth` when its user has to connect it again.
    status: String,
    /// The reason for the status.
    status_reason: Option<String>,
    /// The id of the user's token that the account depends on, for `refresh_token` jobs.
    user_token_id: Uuid,
    /// The time at which the token expires unless it is refreshed.
    token_expires_at: Option<DateTime<Utc>>,
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
            created_at: row.created_at,
        }
    }
}

/// The accounts of a tenant.
#[derive(Debug, Object)]
pub(crate) struct AccountList {
    items: Vec<AccountView>,
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
}
