//! Who calls, and what they may see: the one place that decides.

use jobs::{engine::Scope, ids::TenantId, tenants::keys};
use poem::Request;
use poem_openapi::{SecurityScheme, auth::Bearer};

use crate::{ApiError, state::AppState};

/// A caller with a valid key. Every operation that is not open takes one.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", key_name = "operator_key", bearer_format = "lk_...", checker = "check")]
pub(crate) struct Caller(keys::Holder);

async fn check(request: &Request, bearer: Bearer) -> poem::Result<keys::Holder> {
    let holder = find_holder(request, &bearer.token).await?;
    Ok(holder.ok_or_else(ApiError::unauthorized)?)
}

async fn find_holder(request: &Request, key: &str) -> Result<Option<keys::Holder>, ApiError> {
    let Some(state) = request.data::<AppState>() else {
        return Ok(None);
    };
    let mut tx = state.db.system().await?;
    let holder = keys::find_by_key(&mut tx, key).await?;
    tx.commit().await?;
    Ok(holder)
}

impl Caller {
    /// What the caller may see: everything for operators, otherwise the tenant of the key.
    pub(crate) fn scope(&self) -> Scope {
        Scope::of(self.0.tenant_id)
    }

    /// The tenant that a request names, if the caller may act in it; otherwise as if there were none.
    pub(crate) fn tenant(&self, named: uuid::Uuid) -> Result<TenantId, ApiError> {
        let named = TenantId(named);
        if named != TenantId::SYSTEM && (self.0.tenant_id == TenantId::SYSTEM || self.0.tenant_id == named) {
            Ok(named)
        } else {
            Err(ApiError::not_found("tenant"))
        }
    }
}
