//! Tenants: making, listing, changing and erasing them, and their usage.

mod patch;
mod refusals;
mod views;

use jobs::{
    engine::Scope,
    ids::UserId,
    tenants::{
        self, NewTenant,
        erasure::{self, Erasure},
        plans::Plan,
        settings::{self, Settings},
        store::{self, TenantRow, Viewer},
        usage,
    },
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use self::{
    patch::TenantPatch,
    views::{AcceptedErasure, CreatedTenant, ErasureView, TenantBody, TenantItem, TenantView, TotalsView, UsageView},
};
use crate::{
    ApiError,
    api::{Tag, jobs::EnqueuedView, people::address},
    auth::{Audience, Caller, Needs},
    database::Answered,
    http::{
        Body,
        paging::{Page, Paging},
    },
    state::AppState,
};

pub(crate) struct TenantsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Tenants")]
impl TenantsApi {
    /// Make a tenant.
    ///
    /// Operators make them for others, on any plan. A person makes their own, on the plan basic.
    #[oai(path = "/tenants", method = "post", operation_id = "create_tenant")]
    async fn create(
        &self,
        #[oai(scope = "Needs::NewTenant")] caller: Caller,
        body: Body<TenantBody>,
    ) -> Result<Answered<CreatedTenant>, ApiError> {
        let owner = owner_of_new(&caller)?;
        let plan = plan_of_new(&caller, body.plan.map(Plan::from))?;
        let model = body.copy_settings_from.map(|model| caller.tenant(model)).transpose()?;
        let TenantBody { name, email, .. } = body.0;
        let new = NewTenant { name: name.0, email: address(&email)?, plan, owner, model };
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        let (tenant, settings) = tenants::create(&mut tx, &self.state.services, caller.actor(), &new).await?;
        tx.answer(CreatedTenant::Created(Json(TenantView::new(tenant, settings)))).await
    }

    /// List the tenants that the caller is in, newest first, with the caller's role in each.
    ///
    /// Operators see all tenants, with their usage.
    #[oai(path = "/tenants", method = "get", operation_id = "list_tenants")]
    async fn list(
        &self,
        #[oai(scope = "Needs::TenantsRead")] caller: Caller,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<TenantItem>>, ApiError> {
        let paging = Paging::read(&after, &limit)?;
        let user_id = caller.person().ok().map(|person| person.user_id);
        let viewer = Viewer { tenants: caller.tenants(), user_id, text: None };
        let mut tx = self.state.db.read(Scope::System).await?;
        let mut rows = store::list(&mut tx, &viewer, paging.after, paging.rows()).await?;
        let next = paging.next(&mut rows, |row| (row.tenant.created_at, row.tenant.id.0));
        let shows_totals = caller.audience() == Audience::Operators;
        let item = |row: store::TenantSummary| TenantItem {
            usage: shows_totals.then(|| TotalsView::from(&row)),
            role: row.role.map(|role| role.name().to_owned()),
            about: row.tenant.into(),
        };
        Ok(Json(Page { items: rows.into_iter().map(item).collect(), next }))
    }

    /// Get a tenant with its settings.
    #[oai(path = "/tenants/:id", method = "get", operation_id = "get_tenant")]
    async fn get(
        &self,
        #[oai(scope = "Needs::TenantsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<TenantView>, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        let tenant = store::get(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
        let settings = settings::get(&mut tx, id).await?;
        Ok(Json(TenantView::new(tenant, settings)))
    }

    /// Change the given settings.
    ///
    /// Null clears a setting. Only operators change the plan.
    #[oai(path = "/tenants/:id", method = "patch", operation_id = "update_tenant")]
    async fn update(
        &self,
        #[oai(scope = "Needs::TenantsWrite")] caller: Caller,
        id: Path<Uuid>,
        body: Body<TenantPatch>,
    ) -> Result<Answered<Json<TenantView>>, ApiError> {
        let id = caller.tenant(id.0)?;
        if body.plan.is_some() && caller.audience() == Audience::Tenant {
            return Err(refusals::plan_by_operators());
        }
        let email = body.email.as_deref().map(address).transpose()?;
        let mut tx = self.state.db.write(Scope::Tenant(id), &caller).await?;
        let change = |tenant: &mut TenantRow, settings: &mut Settings| body.0.apply(email.as_ref(), tenant, settings);
        let (tenant, settings) = tenants::update(&mut tx, &self.state.services, caller.actor(), id, change).await?;
        tx.answer(Json(TenantView::new(tenant, settings))).await
    }

    /// Erase a tenant with everything that belongs to it, files included.
    ///
    /// Access ends at once; a job does the rest. For the tenant's owners and for operators.
    #[oai(path = "/tenants/:id", method = "delete", operation_id = "erase_tenant")]
    async fn erase(
        &self,
        #[oai(scope = "Needs::TenantsWrite")] caller: Caller,
        id: Path<Uuid>,
        /// The tenant's name, as a safeguard against erasing another tenant by mistake.
        confirm: Query<String>,
    ) -> Result<Answered<AcceptedErasure>, ApiError> {
        let tenant_id = caller.tenant(id.0)?;
        let owner = match caller.audience() {
            Audience::Operators => None,
            Audience::Tenant => Some(caller.person()?.user_id),
        };
        let erasure = Erasure { tenant_id, confirmed_name: confirm.0, owner };
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        let job = erasure::request(&mut tx, &self.state.services.keyring, caller.actor(), &erasure).await?;
        let view = ErasureView { job: EnqueuedView::from(job), tenant_id: tenant_id.0 };
        tx.answer(AcceptedErasure::Accepted(Json(view), format!("/api/v1/jobs/{}", job.id))).await
    }

    /// Get a tenant's usage of what its plan allows.
    #[oai(path = "/tenants/:id/usage", method = "get", operation_id = "get_tenant_usage")]
    async fn usage(
        &self,
        #[oai(scope = "Needs::TenantsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<UsageView>, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        let usage = usage::get(&mut tx, &self.state.services.plans, id).await?;
        Ok(Json(usage.into()))
    }
}

/// Returns the owner of a new tenant: the person who makes it, or nobody yet if an operator does.
/// Refuses a tenant's key.
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
