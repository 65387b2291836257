//! API keys: making, listing and revoking them.

use chrono::{DateTime, Utc};
use jobs::{
    engine::Scope,
    ids::TenantId,
    tenants::{
        keys::{self, KeyRow, NewKey},
        permissions::{self, Permissions},
    },
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, require_tenant},
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::{
        Body, Named,
        paging::{Listed, Page, Paging},
    },
    state::AppState,
};

/// A key to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, rename = "NewKey")]
struct KeyBody {
    /// The key's tenant; by default the caller's own. An operator who names no tenant makes an
    /// operator's key.
    tenant_id: Option<Uuid>,
    /// A name that says what the key is for, or who holds it.
    name: Named<1, 200>,
    /// The key's permissions: names such as `jobs:read`, `jobs:retry` or `posts:write`. `*:read`
    /// allows reading everything of the tenant, `*` allows everything. A key cannot have more
    /// permissions than its maker.
    #[oai(validator(min_items = 1, max_items = 50))]
    permissions: Vec<String>,
}

/// A key, without its secret.
#[derive(Debug, Object)]
struct KeyView {
    id: Uuid,
    /// The key's tenant; all zeros for an operator's key.
    tenant_id: Uuid,
    name: String,
    /// The first characters of the key.
    prefix: String,
    permissions: Vec<String>,
    /// The person who made the key. Absent if a key or a command made it, or if the person no
    /// longer exists.
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    /// The time of the last use, to the minute.
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<KeyRow> for KeyView {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id.0,
            name: row.name,
            prefix: row.prefix,
            permissions: row.permissions,
            created_by: row.created_by.map(|id| id.0),
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

impl Listed for KeyView {
    const PAGE: &'static str = "KeyPage";
    const DESCRIPTION: &'static str = "A page of keys.";
}

/// A new key.
#[derive(Debug, Object)]
struct MadeKey {
    /// The key itself, to be sent as `Authorization: Bearer ...`. It is shown only once.
    key: String,
    #[oai(flatten)]
    about: KeyView,
}

#[derive(ApiResponse)]
enum CreatedKey {
    /// The key is made and valid.
    #[oai(status = 201)]
    Created(Json<MadeKey>),
}

pub(crate) struct KeysApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Access")]
impl KeysApi {
    /// Make an API key.
    #[oai(path = "/api-keys", method = "post", operation_id = "create_api_key")]
    async fn create(
        &self,
        #[oai(scope = "Needs::ApiKeysWrite")] caller: Caller,
        body: Body<KeyBody>,
    ) -> Result<Answered<CreatedKey>, ApiError> {
        let tenant_id = holder(&caller, body.tenant_id)?;
        let permissions = Permissions::named(body.permissions.clone()).map_err(|unknown| {
            let detail = format!("{unknown}. There are *, *:read, {}.", permissions::ALL.join(", "));
            ApiError::unprocessable(ErrorCode::UnknownPermission, detail)
        })?;
        caller.may_give(tenant_id, &permissions)?;
        let maker = caller.person().ok().map(|person| person.user_id);
        let new = NewKey { tenant_id, name: body.0.name.0, permissions, maker };
        let mut tx = self.state.db.write(Scope::of(tenant_id), &caller).await?;
        require_tenant(&mut tx, tenant_id).await?;
        let (row, key) = keys::issue(&mut tx, &self.state.services, caller.actor(), &new).await?;
        tx.answer(CreatedKey::Created(Json(MadeKey { key, about: row.into() }))).await
    }

    /// List a tenant's keys, revoked ones too, newest first.
    ///
    /// Without a tenant, these are the caller's own tenant's keys.
    #[oai(path = "/api-keys", method = "get", operation_id = "list_api_keys")]
    async fn list(
        &self,
        #[oai(scope = "Needs::ApiKeysRead")] caller: Caller,
        tenant_id: Query<Option<Uuid>>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<KeyView>>, ApiError> {
        let (tenant_id, paging) = (holder(&caller, tenant_id.0)?, Paging::read(&after, &limit)?);
        let mut tx = self.state.db.read(Scope::of(tenant_id)).await?;
        require_tenant(&mut tx, tenant_id).await?;
        let mut rows = keys::list(&mut tx, tenant_id, paging.after, paging.rows()).await?;
        let next = paging.next(&mut rows, |row| (row.created_at, row.id));
        Ok(Json(Page { items: rows.into_iter().map(Into::into).collect(), next }))
    }

    /// Revoke a key; the next request with it is refused.
    ///
    /// The caller needs every permission that the key has. Revoking a key again changes nothing.
    #[oai(path = "/api-keys/:id", method = "delete", operation_id = "revoke_api_key")]
    async fn revoke(
        &self,
        #[oai(scope = "Needs::ApiKeysWrite")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Json<KeyView>>, ApiError> {
        let mut tx = self.state.db.write(caller.scope()?, &caller).await?;
        let may_revoke = |key: &KeyRow| caller.may_give(key.tenant_id, &Permissions::stored(key.permissions.clone()));
        let row = keys::revoke(&mut tx, &self.state.services, caller.actor(), id.0, may_revoke).await?;
        let row = row.ok_or_else(|| ApiError::not_found("key"))?;
        tx.answer(Json(row.into())).await
    }
}

/// Returns the tenant whose keys a request is about. Operators' keys belong to the system's tenant.
fn holder(caller: &Caller, named: Option<Uuid>) -> Result<TenantId, ApiError> {
    match named {
        Some(named) => caller.tenant(named),
        None => Ok(caller.own_tenant()?.unwrap_or(TenantId::SYSTEM)),
    }
}
