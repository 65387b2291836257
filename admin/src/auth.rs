//! The caller of a request and the caller's permissions. All access is decided here.

mod checks;
mod client;
mod identity;
mod lookups;
mod required_permission;

use std::sync::Arc;

use jobs::{
    audit::Actor,
    engine::Scope,
    ids::TenantId,
    tenants::{
        membership::{Decider, Standing},
        permissions::Permissions,
    },
};
use poem::{Request, RequestBody, error::NotFoundError};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use self::{
    checks::Checks,
    client::Client,
    identity::{Access, Identity, Person, TENANT_HEADER, identify, identity_of_browser, is_foreign, is_ours},
    lookups::Lookups,
    required_permission::{Needs, RequiredPermission},
};
use crate::{
    ApiError,
    http::{HeldKey, cookies},
};

/// A caller with valid credentials, which allow the operation in at least one tenant. Access to a
/// tenant is checked when the request names it. Every operation that is not open takes a caller,
/// and declares its permission ([`Needs`]).
#[derive(Clone)]
pub(crate) struct Caller {
    identity: Arc<Identity>,
    required: RequiredPermission,
    key: Option<Arc<HeldKey>>,
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let bearer = MetaSecurityScheme {
            ty: "http",
            description: Some("An API key, or the access token of a person who signed in."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("lk_... or a JWT"),
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme("bearer", bearer);
        let session = MetaSecurityScheme {
            ty: "apiKey",
            description: Some(
                "A browser's session. A request that changes something has to come from our own pages. On https the name begins \
                 with __Host-.",
            ),
            name: Some(cookies::SESSION),
            key_in: Some("cookie"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme("session", session);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["bearer", "session"]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        // The framework's routes match more than the description has, such as unknown providers.
        Ok(Self::of(request).ok_or(NotFoundError)?)
    }
}

/// The error of an operation that takes credentials and declares no permission: nobody may call it.
#[derive(Debug, thiserror::Error)]
#[error("the operation declares no permission: write #[oai(scope = \"Needs::...\")] before its `caller: Caller`")]
struct Undeclared;

/// Admits a request with credentials to an operation that needs `required`, if they allow that in
/// some tenant. The credentials become the operation's [`Caller`]. This happens before the body is
/// read.
pub(crate) fn admit(request: &mut Request, required: Option<RequiredPermission>) -> Result<(), ApiError> {
    let required = required.ok_or_else(|| ApiError::internal(Undeclared))?;
    let identity = request.extensions().get::<Arc<Identity>>().cloned().ok_or_else(ApiError::unauthorized)?;
    let is_met = match (required, &identity.access) {
        (RequiredPermission::Person, _) => identity.person.is_some(),
        (_, Access::Barred) => return Err(ApiError::second_factor_required()),
        (RequiredPermission::NewTenant, Access::Tenants { .. }) if identity.person.is_some() => true,
        (RequiredPermission::NewTenant, Access::Everywhere(held)) => held.allow(required_permission::MAKES_TENANTS),
        (RequiredPermission::NewTenant, Access::Tenants { held, .. }) => {
            held.values().any(|held| held.allow(required_permission::MAKES_TENANTS))
        }
        (RequiredPermission::Permission(needed), Access::Everywhere(held)) => held.allow(needed),
        // A caller in no tenant, or in a barred one, is refused once a tenant is needed.
        (RequiredPermission::Permission(needed), Access::Tenants { held, barred, .. }) => {
            held.is_empty() || !barred.is_empty() || held.values().any(|held| held.allow(needed))
        }
    };
    if !is_met {
        tracing::info!(actor = %identity.actor.id, needed = required.sentence(), "a caller was refused");
        return Err(required.refusal());
    }
    request.extensions_mut().insert(Caller { identity, required, key: None });
    Ok(())
}

impl Caller {
    /// Returns the caller that was admitted, with the `Idempotency-Key` that the request holds.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let admitted = request.extensions().get::<Self>().cloned();
        admitted.map(|caller| Self { key: request.extensions().get::<Arc<HeldKey>>().cloned(), ..caller })
    }

    /// Returns what the caller may see if no tenant is named: everything for operators, else its
    /// own tenant.
    pub(crate) fn scope(&self) -> Result<Scope, ApiError> {
        Ok(self.own_tenant()?.map_or(Scope::System, Scope::Tenant))
    }

    /// Returns the same for a request that may name a tenant.
    pub(crate) fn scope_of(&self, named: Option<Uuid>) -> Result<Scope, ApiError> {
        named.map_or_else(|| self.scope(), |named| self.tenant(named).map(Scope::Tenant))
    }

    /// Returns the caller's own tenant; `None` for operators.
    pub(crate) fn own_tenant(&self) -> Result<Option<TenantId>, ApiError> {
        match &self.identity.access {
            Access::Everywhere(_) => {
                self.remember(TenantId::SYSTEM, self.required.permission());
                Ok(None)
            }
            Access::Tenants { current: Some(current), .. } => self.tenant(current.0).map(Some),
            Access::Tenants { current: None, .. } => Err(ApiError::no_tenant()),
            Access::Barred => Err(ApiError::second_factor_required()),
        }
    }

    /// Returns the tenant that a request names, if the caller has the permission in it. A tenant
    /// that the caller is not in is "not found".
    pub(crate) fn tenant(&self, named: Uuid) -> Result<TenantId, ApiError> {
        let tenant_id = TenantId(named);
        if tenant_id == TenantId::SYSTEM {
            return Err(ApiError::not_found("tenant"));
        }
        if !self.required.is_met_by(self.identity.access.held_in(tenant_id)?) {
            return Err(self.required.refusal());
        }
        self.remember(tenant_id, self.required.permission());
        Ok(tenant_id)
    }

    /// Refuses a caller who lacks one more permission in a tenant, if the body asks for that.
    pub(crate) fn require(&self, tenant_id: TenantId, permission: &str) -> Result<(), ApiError> {
        let held = self.identity.access.held_in(tenant_id)?;
        if !held.allow(permission) {
            return Err(ApiError::missing_permission(permission));
        }
        self.remember(tenant_id, [permission]);
        Ok(())
    }

    /// Returns the tenants that the caller is in; `None` for operators, who see all.
    pub(crate) fn tenants(&self) -> Option<Vec<TenantId>> {
        match &self.identity.access {
            Access::Everywhere(_) => None,
            Access::Tenants { held, .. } => Some(held.keys().copied().collect()),
            Access::Barred => Some(Vec::new()),
        }
    }

    /// Refuses to give or take permissions in a tenant that the caller does not have there.
    pub(crate) fn may_give(&self, tenant_id: TenantId, given: &Permissions) -> Result<(), ApiError> {
        let held = self.identity.access.held_in(tenant_id)?;
        if let Some(beyond) = held.first_beyond(given) {
            return Err(ApiError::missing_permission(beyond));
        }
        self.remember(tenant_id, given.names());
        Ok(())
    }

    /// Remembers these permissions: a later caller that asks for the kept response needs them too.
    fn remember<T: AsRef<str>>(&self, tenant_id: TenantId, needed: impl IntoIterator<Item = T>) {
        if let Some(key) = &self.key {
            key.remember(|checks| checks.add(tenant_id, needed));
        }
    }

    /// Returns the `Idempotency-Key` that the request holds.
    pub(crate) fn key(&self) -> Option<Arc<HeldKey>> {
        self.key.clone()
    }

    /// Returns the caller as somebody who decides about a tenant's people.
    pub(crate) fn decider(&self, tenant_id: TenantId) -> Result<Decider<'_>, ApiError> {
        let held = self.identity.access.held_in(tenant_id)?;
        let person = self.identity.person.map(|person| person.user_id);
        let standing = match self.audience() {
            Audience::Operators => Standing::Operator(person),
            Audience::Tenant => person.map_or(Standing::Key, Standing::Person),
        };
        Ok(Decider { actor: self.actor(), held, standing })
    }

    /// Refuses everybody but operators.
    pub(crate) fn operator(&self) -> Result<(), ApiError> {
        match self.identity.access {
            Access::Everywhere(_) => {
                self.remember(TenantId::SYSTEM, self.required.permission());
                Ok(())
            }
            Access::Tenants { .. } => Err(ApiError::operators_only()),
            Access::Barred => Err(ApiError::second_factor_required()),
        }
    }

    /// Returns the actor for the audit log.
    pub(crate) fn actor(&self) -> &Actor {
        &self.identity.actor
    }

    /// Returns the person who calls. Refuses keys.
    pub(crate) fn person(&self) -> Result<Person, ApiError> {
        self.identity.person.ok_or_else(ApiError::people_only)
    }

    /// Returns the credentials, for responses that last for minutes.
    pub(crate) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity)
    }

    /// Returns the reader of the response.
    pub(crate) fn audience(&self) -> Audience {
        match self.identity.access {
            Access::Everywhere(_) => Audience::Operators,
            Access::Tenants { .. } | Access::Barred => Audience::Tenant,
        }
    }
}

/// The reader of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Operators,
    Tenant,
}

impl Audience {
    /// Returns the facts about failures that these readers may see. Causes are for operators: they
    /// contain words of the database, of providers and of panics, which may quote secret fields of
    /// a payload.
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
    fn an_operation_that_declares_nothing_is_refused_to_everybody() {
        let refused = admit(&mut Request::default(), None).unwrap_err();
        assert!(matches!(refused, ApiError::Internal(_)), "{refused:?}");
        let refused = admit(&mut Request::default(), Some(RequiredPermission::Person)).unwrap_err();
        assert!(matches!(refused, ApiError::Unauthorized(_)), "{refused:?}");
    }
}
