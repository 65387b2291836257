//! Who calls, and what they may see and do: the one place that decides.

use jobs::{
    audit::Actor,
    engine::Scope,
    ids::TenantId,
    tenants::{
        keys,
        permissions::{self, Permissions},
    },
};
use poem::{Request, http::Method};
use poem_openapi::{SecurityScheme, auth::Bearer};
use serde_json::Value;

use crate::{ApiError, state::AppState};

/// A caller with a valid key. Every operation that is not open takes one.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", key_name = "operator_key", bearer_format = "lk_...", checker = "check")]
pub(crate) struct Caller(Identity);

/// Whose key it is, and who uses it.
pub(crate) struct Identity {
    tenant_id: TenantId,
    permissions: Permissions,
    actor: Actor,
}

async fn check(request: &Request, bearer: Bearer) -> poem::Result<Identity> {
    let holder = find_holder(request, &bearer.token).await?.ok_or_else(ApiError::unauthorized)?;
    let needed = needed_permission(request.method(), request.original_uri().path());
    if !needed.as_ref().is_some_and(|needed| holder.permissions.allow(needed)) {
        return Err(ApiError::missing_permission(needed.as_deref().unwrap_or("*")).into());
    }
    // The connection's other end: what headers say about it can be forged.
    let remote_address = request.remote_addr().as_socket_addr().map(|address| address.ip().to_string());
    Ok(Identity {
        tenant_id: holder.tenant_id,
        permissions: holder.permissions,
        actor: Actor { key_id: holder.key_id, name: holder.name, remote_address },
    })
}

/// Actions on jobs that staff take; what else is written there is new work.
const STAFF_ACTIONS: [&str; 6] = ["retry", "cancel", "discard", "run-now", "bulk", "resolve"];

/// What an operation asks for, told by its address; `None`: nobody has said.
pub(crate) fn needed_permission(method: &Method, path: &str) -> Option<String> {
    let segments: Vec<&str> = path.strip_prefix("/api/v1/")?.split('/').collect();
    let named = match segments.as_slice() {
        ["tenants", _, inside, ..] => inside,
        [area, ..] => area,
        [] => return None,
    };
    let area = match *named {
        "queues" | "workers" | "periodic" | "stats" | "parked-accounts" => "engine",
        "folders" => "assets",
        "oauth" => "accounts",
        "audit-log" => "audit",
        area => area,
    };
    let action = match segments.last() {
        // A connection begins there, though it is a GET.
        Some(&"authorize") => "write",
        _ if *method == Method::GET => "read",
        Some(last) if area == "jobs" && STAFF_ACTIONS.contains(last) => "retry",
        _ => "write",
    };
    let needed = format!("{area}:{action}");
    permissions::ALL.contains(&needed.as_str()).then_some(needed)
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

    /// Refuses to give, or take, what the caller does not have.
    pub(crate) fn may_give(&self, permissions: &Permissions) -> Result<(), ApiError> {
        self.0.permissions.first_beyond(permissions).map_or(Ok(()), |beyond| Err(ApiError::missing_permission(beyond)))
    }

    /// Who does what is done, for the audit log.
    pub(crate) fn actor(&self) -> &Actor {
        &self.0.actor
    }

    /// Who reads the answer.
    pub(crate) fn audience(&self) -> Audience {
        if self.own_tenant().is_none() { Audience::Operators } else { Audience::Tenant }
    }

    /// The tenant whose key it is; `None` for operators.
    pub(crate) fn own_tenant(&self) -> Option<TenantId> {
        (self.0.tenant_id != TenantId::SYSTEM).then_some(self.0.tenant_id)
    }

    /// Refuses everybody but operators.
    pub(crate) fn operator(&self) -> Result<(), ApiError> {
        if self.own_tenant().is_none() { Ok(()) } else { Err(ApiError::operators_only()) }
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

/// Who reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Operators,
    Tenant,
}

impl Audience {
    /// Facts about failures as these readers may see them. Causes are for operators: they hold words of the database, of
    /// providers and of panics, which may quote what a payload keeps to itself.
    pub(crate) fn facts(self, mut facts: Value) -> Value {
        if self == Self::Tenant {
            drop_causes(&mut facts);
        }
        facts
    }
}

fn drop_causes(facts: &mut Value) {
    match facts {
        Value::Object(fields) => {
            fields.remove("causes");
            fields.values_mut().for_each(drop_causes);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_causes),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_what_they_ask_for() {
        let table = [
            (Method::GET, "/api/v1/jobs", Some("jobs:read")),
            (Method::POST, "/api/v1/jobs", Some("jobs:write")),
            (Method::POST, "/api/v1/jobs/bulk", Some("jobs:retry")),
            (Method::POST, "/api/v1/jobs/0/effects/0/resolve", Some("jobs:retry")),
            (Method::GET, "/api/v1/jobs/retry", Some("jobs:read")),
            (Method::GET, "/api/v1/tenants/0", Some("tenants:read")),
            (Method::GET, "/api/v1/tenants/0/posts", Some("posts:read")),
            (Method::GET, "/api/v1/oauth/facebook/authorize", Some("accounts:write")),
            (Method::PATCH, "/api/v1/queues/ai", Some("engine:write")),
            (Method::DELETE, "/api/v1/api-keys/0", Some("api-keys:write")),
            (Method::GET, "/api/v1/secrets", None),
            (Method::GET, "/api/v1/tenants/0/secrets", None),
            (Method::GET, "/health", None),
            (Method::GET, "/api/v1/", None),
        ];
        for (method, path, needed) in table {
            assert_eq!(needed_permission(&method, path).as_deref(), needed, "{method} {path}");
        }
    }
}
