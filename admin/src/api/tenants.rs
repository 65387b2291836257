//! Tenants: making, listing, changing and erasing them, and what they use.

mod patch;
mod refusals;
mod views;

use jobs::{
    audit::Entry,
    engine::{Scope, Tx},
    ids::{TenantId, UserId},
    tenants::{
        erasure, members,
        plans::Plan,
        roles::Role,
        settings,
        store::{self, TenantRow, Viewer},
        usage,
    },
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::{Value, json};
use uuid::Uuid;

use self::{
    patch::TenantPatch,
    views::{AcceptedErasure, CreatedTenant, ErasureView, NewTenant, TenantItem, TenantView, TotalsView, UsageView},
};
use crate::{
    ApiError,
    api::{Tag, jobs::EnqueuedView, require_tenant},
    auth::{Audience, Caller},
    error::ErrorCode,
    http::{
        Body,
        paging::{Page, Paging},
    },
    state::AppState,
};

/// Tenants that somebody may own to make one more: each has limits of its own. Operators make more for an agency that needs them.
const MOST_OWNED: i64 = 10;

pub(crate) struct TenantsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Tenants")]
impl TenantsApi {
    /// Make a tenant. Operators make them for others, on any plan; whoever is signed in makes some of their own, on the plan basic.
    #[oai(path = "/tenants", method = "post", operation_id = "create_tenant")]
    async fn create(&self, caller: Caller, body: Body<NewTenant>) -> Result<CreatedTenant, ApiError> {
        let owner = owner_of_new(&caller)?;
        let plan = plan_of_new(&caller, body.plan.map(Plan::from))?;
        let model = body.copy_settings_from.map(|model| caller.tenant(model)).transpose()?;
        let mut tx = self.state.db.system().await?;
        if let Some(owner) = owner
            && members::lock_and_count_owned(&mut tx, owner).await? >= MOST_OWNED
        {
            return Err(refusals::too_many_tenants(MOST_OWNED));
        }
        let settings = match model {
            Some(model) => {
                require_tenant(&mut tx, model).await?;
                settings::get(&mut tx, model).await?.for_another()
            }
            None => settings::Settings::default(),
        };
        let tenant = store::insert(&mut tx, &body.name, &body.email, plan).await?;
        settings::put(&mut tx, tenant.id, &settings).await?;
        if let Some(owner) = owner {
            members::insert(&mut tx, tenant.id, owner, Role::Owner).await?;
        }
        let details = json!({ "name": tenant.name, "plan": tenant.plan.name(), "copy_settings_from": model });
        self.state.record(&mut tx, caller.actor(), entry("tenant.create", tenant.id, details)).await?;
        tx.commit().await?;
        Ok(CreatedTenant::Created(Json(TenantView::new(tenant, settings))))
    }

    /// The tenants that the caller is in, with its role in each; for operators all of them, with what they have used. Newest
    /// first.
    #[oai(path = "/tenants", method = "get", operation_id = "list_tenants")]
    async fn list(
        &self,
        caller: Caller,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<TenantItem>>, ApiError> {
        let paging = Paging::read(&after, &limit)?;
        let viewer = Viewer { tenants: caller.tenants(), user_id: caller.person().ok().map(|person| person.user_id) };
        let mut tx = self.state.db.system().await?;
        let mut rows = store::list(&mut tx, &viewer, paging.after, paging.rows()).await?;
        tx.commit().await?;
        let next = paging.next(&mut rows, |row| (row.tenant.created_at, row.tenant.id.0));
        let shows_totals = caller.audience() == Audience::Operators;
        let item = |row: store::TenantSummary| TenantItem {
            usage: shows_totals.then(|| TotalsView::from(&row)),
            role: row.role.map(|role| role.name().to_owned()),
            about: row.tenant.into(),
        };
        Ok(Json(Page { items: rows.into_iter().map(item).collect(), next }))
    }

    /// One tenant with its settings.
    #[oai(path = "/tenants/:id", method = "get", operation_id = "get_tenant")]
    async fn get(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<TenantView>, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.tenant(id).await?;
        let tenant = store::get(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
        let settings = settings::get(&mut tx, id).await?;
        tx.commit().await?;
        Ok(Json(TenantView::new(tenant, settings)))
    }

    /// Change settings: those that are given. Null clears one. Only operators change the plan.
    #[oai(path = "/tenants/:id", method = "patch", operation_id = "update_tenant")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<TenantPatch>,
    ) -> Result<Json<TenantView>, ApiError> {
        let id = caller.tenant(id.0)?;
        if body.plan.is_some() && caller.audience() == Audience::Tenant {
            return Err(refusals::plan_by_operators());
        }
        let mut tx = self.state.db.tenant(id).await?;
        let tenant = store::lock(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
        let before = (tenant, settings::get(&mut tx, id).await?);
        let after = body.0.apply(before.clone())?;
        store::update(&mut tx, &after.0).await?;
        settings::put(&mut tx, id, &after.1).await?;
        if let Some(details) = patch::difference(&before, &after) {
            self.state.record(&mut tx, caller.actor(), entry("tenant.update", id, details)).await?;
        }
        tx.commit().await?;
        Ok(Json(TenantView::new(after.0, after.1)))
    }

    /// Erase a tenant and everything that is its, files included. Nobody gets in from now on; a job does the rest. For its owners
    /// and operators.
    #[oai(path = "/tenants/:id", method = "delete", operation_id = "erase_tenant")]
    async fn erase(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        /// The tenant's name, so that nobody erases another one than was meant.
        confirm: Query<String>,
    ) -> Result<AcceptedErasure, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.system().await?;
        require_owner(&mut tx, &caller, id).await?;
        let tenant = store::lock(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
        if tenant.name != confirm.0 {
            return Err(ApiError::unprocessable(
                ErrorCode::NotConfirmed,
                "confirm should be the tenant's name, to the letter.",
            ));
        }
        let job = erasure::erase(&mut tx, &self.state.services.keyring, caller.actor(), id)
            .await?
            .ok_or_else(|| ApiError::not_found("tenant"))?;
        tx.commit().await?;
        let view = ErasureView { job: EnqueuedView::from(job), tenant_id: id.0 };
        Ok(AcceptedErasure::Accepted(Json(view), format!("/api/v1/jobs/{}", job.id)))
    }

    /// What a tenant has used of what its plan allows.
    #[oai(path = "/tenants/:id/usage", method = "get", operation_id = "get_tenant_usage")]
    async fn usage(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<UsageView>, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.begin(Scope::Tenant(id)).await?;
        let usage = usage::get(&mut tx, &self.state.services.plans, id).await?;
        tx.commit().await?;
        Ok(Json(usage.into()))
    }
}

fn entry(action: &str, tenant_id: TenantId, details: Value) -> Entry {
    Entry::new(tenant_id, action, "tenant", tenant_id, details)
}

/// Who is to own a new tenant: whoever is signed in; nobody yet where operators make one. A tenant's key makes none.
fn owner_of_new(caller: &Caller) -> Result<Option<UserId>, ApiError> {
    match (caller.audience(), caller.person()) {
        (Audience::Operators, _) => Ok(None),
        (Audience::Tenant, Ok(person)) => Ok(Some(person.user_id)),
        (Audience::Tenant, Err(_)) => Err(ApiError::operators_only()),
    }
}

fn plan_of_new(caller: &Caller, asked: Option<Plan>) -> Result<Plan, ApiError> {
    let plan = asked.unwrap_or(Plan::Basic);
    if caller.audience() == Audience::Tenant && plan != Plan::Basic {
        return Err(refusals::plan_by_operators());
    }
    Ok(plan)
}

async fn require_owner(tx: &mut Tx, caller: &Caller, id: TenantId) -> Result<(), ApiError> {
    if caller.audience() == Audience::Operators {
        return Ok(());
    }
    let person = caller.person()?;
    match members::get_role(tx, id, person.user_id).await? {
        Some(Role::Owner) => Ok(()),
        Some(Role::Admin | Role::Member) | None => Err(ApiError::owners_only()),
    }
}

/// A tenant and its settings.
type Described = (TenantRow, settings::Settings);
