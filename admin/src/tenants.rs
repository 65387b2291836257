//! Tenants.

use chrono::{DateTime, Utc};
use jobs::tenants::store::{self, TenantRow};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use crate::{ApiError, Tag, auth::Caller, body::Body, page, state::AppState};

/// What a tenant pays for.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum Plan {
    Basic,
    Pro,
    Enterprise,
}

impl Plan {
    fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }
}

/// A tenant to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewTenant {
    /// What it is called.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
    /// Whom to write to. (What is a space differs from language to language; here it is all that any takes for one.)
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    email: String,
    /// What it pays for.
    plan: Plan,
}

/// A restaurant, an agency's client, or one person's organization.
#[derive(Debug, Object)]
pub(crate) struct TenantView {
    id: Uuid,
    name: String,
    email: Option<String>,
    plan: String,
    created_at: DateTime<Utc>,
}

impl From<TenantRow> for TenantView {
    fn from(row: TenantRow) -> Self {
        Self { id: row.id.0, name: row.name, email: row.email, plan: row.plan, created_at: row.created_at }
    }
}

/// A page of tenants.
#[derive(Debug, Object)]
pub(crate) struct TenantPage {
    items: Vec<TenantView>,
    /// Where the next page begins; absent on the last.
    next: Option<String>,
}

#[derive(ApiResponse)]
pub(crate) enum CreatedTenant {
    /// The tenant is there.
    #[oai(status = 201)]
    Created(Json<TenantView>),
}

pub(crate) struct TenantsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Tenants")]
impl TenantsApi {
    /// Make a tenant. For operators.
    #[oai(path = "/tenants", method = "post", operation_id = "create_tenant")]
    async fn create(&self, caller: Caller, body: Body<NewTenant>) -> Result<CreatedTenant, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.system().await?;
        let tenant = store::insert(&mut tx, &body.name, &body.email, body.plan.name()).await?;
        tx.commit().await?;
        Ok(CreatedTenant::Created(Json(tenant.into())))
    }

    /// The caller's own tenant; for operators all of them, newest first.
    #[oai(path = "/tenants", method = "get", operation_id = "list_tenants")]
    async fn list(
        &self,
        caller: Caller,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<TenantPage>, ApiError> {
        let limit = page::limit(limit.0)?;
        let after = page::after(after.0.as_deref())?;
        let mut tx = self.state.db.begin(caller.scope()?).await?;
        let rows = store::list(&mut tx, after, limit).await?;
        tx.commit().await?;
        let next = page::next(rows.last().map(|row| (row.created_at, row.id.0)), rows.len(), limit);
        Ok(Json(TenantPage { items: rows.into_iter().map(Into::into).collect(), next }))
    }

    /// One tenant.
    #[oai(path = "/tenants/:id", method = "get", operation_id = "get_tenant")]
    async fn get(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<TenantView>, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.tenant(id).await?;
        let tenant = store::get(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
        tx.commit().await?;
        Ok(Json(tenant.into()))
    }
}
