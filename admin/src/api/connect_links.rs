//! Links with which people without an account here connect theirs.

use chrono::{DateTime, Utc};
use jobs::{
    connections::{
        self,
        store::{self, ConnectLinkRow},
    },
    engine::Scope,
    ids::ConnectLinkId,
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, connections::connecting, require_tenant},
    auth::{Caller, Needs},
    database::Answered,
    http::{
        Body,
        paging::{Listed, Page, Paging},
    },
    state::AppState,
};

/// A link to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewConnectLink {
    /// The provider, such as `facebook`.
    #[oai(validator(min_length = 1, max_length = 50))]
    provider: String,
}

/// A link, without its secret.
#[derive(Debug, Object)]
struct ConnectLinkView {
    id: Uuid,
    tenant_id: Uuid,
    /// The provider, such as `facebook`.
    provider: String,
    /// The person who made it. Absent if a key made it, or if the person no longer exists.
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    /// The time at which it stops working.
    expires_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
    /// The time at which somebody last began to connect with it.
    last_used_at: Option<DateTime<Utc>>,
}

impl From<ConnectLinkRow> for ConnectLinkView {
    fn from(row: ConnectLinkRow) -> Self {
        Self {
            id: row.id.0,
            tenant_id: row.tenant_id.0,
            provider: row.provider.0,
            created_by: row.created_by.map(|id| id.0),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl Listed for ConnectLinkView {
    const PAGE: &'static str = "ConnectLinkPage";
    const DESCRIPTION: &'static str = "A page of links.";
}

/// A new link.
#[derive(Debug, Object)]
struct MadeConnectLink {
    /// The address to send to the person. It is shown only once.
    url: String,
    #[oai(flatten)]
    about: ConnectLinkView,
}

#[derive(ApiResponse)]
enum CreatedConnectLink {
    /// The link is made and works for a week.
    #[oai(status = 201)]
    Created(Json<MadeConnectLink>),
}

pub(crate) struct ConnectLinksApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl ConnectLinksApi {
    /// Make a link with which somebody without an account here connects accounts.
    ///
    /// It works for a week, more than once, until it is revoked. Whoever opens it sees the names of
    /// the tenant and the provider, and afterwards only what they connected themselves.
    #[oai(path = "/tenants/:id/connect-links", method = "post", operation_id = "create_connect_link")]
    async fn create(
        &self,
        #[oai(scope = "Needs::AccountsWrite")] caller: Caller,
        id: Path<Uuid>,
        body: Body<NewConnectLink>,
    ) -> Result<Answered<CreatedConnectLink>, ApiError> {
        let tenant_id = caller.tenant(id.0)?;
        let provider = connecting(&self.state, body.0.provider)?;
        let maker = caller.person().ok().map(|person| person.user_id);
        let (services, at) = (&self.state.services, (tenant_id, provider));
        let mut tx = self.state.db.write(Scope::Tenant(tenant_id), &caller).await?;
        let made = connections::make_link(&mut tx, services, caller.actor(), at, maker).await?;
        let (row, secret) = made.ok_or_else(|| ApiError::not_found("tenant"))?;
        let url = format!("{}/connect/link/{secret}", self.state.public_url);
        tx.answer(CreatedConnectLink::Created(Json(MadeConnectLink { url, about: row.into() }))).await
    }

    /// List the links of a tenant, newest first, with those that ended.
    #[oai(path = "/tenants/:id/connect-links", method = "get", operation_id = "list_connect_links")]
    async fn list(
        &self,
        #[oai(scope = "Needs::AccountsRead")] caller: Caller,
        id: Path<Uuid>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<ConnectLinkView>>, ApiError> {
        let (id, paging) = (caller.tenant(id.0)?, Paging::read(&after, &limit)?);
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        let mut rows = store::list_connect_links(&mut tx, id, paging.after, paging.rows()).await?;
        let next = paging.next(&mut rows, |row| (row.created_at, row.id.0));
        Ok(Json(Page { items: rows.into_iter().map(Into::into).collect(), next }))
    }

    /// Revoke a link.
    ///
    /// Logins that were begun with it cannot be finished either. What was connected stays. You may
    /// repeat the request.
    #[oai(path = "/tenants/:id/connect-links/:link_id", method = "delete", operation_id = "revoke_connect_link")]
    async fn revoke(
        &self,
        #[oai(scope = "Needs::AccountsWrite")] caller: Caller,
        id: Path<Uuid>,
        link_id: Path<Uuid>,
    ) -> Result<Answered<Json<ConnectLinkView>>, ApiError> {
        let (id, link_id) = (caller.tenant(id.0)?, ConnectLinkId(link_id.0));
        let mut tx = self.state.db.write(Scope::Tenant(id), &caller).await?;
        let row = connections::revoke_link(&mut tx, &self.state.services, caller.actor(), id, link_id).await?;
        tx.answer(Json(row.ok_or_else(|| ApiError::not_found("link"))?.into())).await
    }
}
