//! The permission that an operation declares: `#[oai(scope = "Needs::PostsPublish")] caller:
//! Caller`.
//!
//! The framework writes the name of the scope into `security` of the operation's description. The
//! check before the body is read, and the readers of `/docs`, take it from there.

use jobs::tenants::permissions::{self, Permissions};
use poem_openapi::OAuthScopes;

use crate::ApiError;

/// The declaration of an operation: a permission, or one of the two special cases at the end.
#[derive(OAuthScopes)]
pub(crate) enum Needs {
    #[oai(rename = "accounts:read")]
    AccountsRead,
    #[oai(rename = "accounts:write")]
    AccountsWrite,
    #[oai(rename = "api-keys:read")]
    ApiKeysRead,
    #[oai(rename = "api-keys:write")]
    ApiKeysWrite,
    #[oai(rename = "assets:read")]
    AssetsRead,
    #[oai(rename = "assets:write")]
    AssetsWrite,
    #[oai(rename = "audit:read")]
    AuditRead,
    #[oai(rename = "calendars:read")]
    CalendarsRead,
    #[oai(rename = "calendars:write")]
    CalendarsWrite,
    #[oai(rename = "engine:read")]
    EngineRead,
    #[oai(rename = "engine:write")]
    EngineWrite,
    #[oai(rename = "jobs:read")]
    JobsRead,
    #[oai(rename = "jobs:retry")]
    JobsRetry,
    #[oai(rename = "jobs:write")]
    JobsWrite,
    #[oai(rename = "members:read")]
    MembersRead,
    #[oai(rename = "members:write")]
    MembersWrite,
    #[oai(rename = "operators:read")]
    OperatorsRead,
    #[oai(rename = "operators:write")]
    OperatorsWrite,
    #[oai(rename = "posts:publish")]
    PostsPublish,
    #[oai(rename = "posts:read")]
    PostsRead,
    #[oai(rename = "tenants:read")]
    TenantsRead,
    #[oai(rename = "tenants:write")]
    TenantsWrite,
    /// A person who signed in, for operations about that person. Keys are refused.
    #[oai(rename = "person")]
    Person,
    /// A person who makes their own tenant, or an operator who may make tenants for others.
    #[oai(rename = "person-or-tenants:write")]
    NewTenant,
}

/// The declaration of an operation, as its description has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequiredPermission {
    /// See [`Needs::Person`].
    Person,
    /// See [`Needs::NewTenant`].
    NewTenant,
    /// A permission.
    Permission(&'static str),
}

/// The permission to make tenants for others.
pub(super) const MAKES_TENANTS: &str = "tenants:write";

impl RequiredPermission {
    /// Returns the declaration of that name. `None` means that it is none, and that nobody may call
    /// the operation.
    pub(crate) fn named(scope: &str) -> Option<Self> {
        if scope == Needs::Person.name() {
            return Some(Self::Person);
        }
        if scope == Needs::NewTenant.name() {
            return Some(Self::NewTenant);
        }
        permissions::ALL.iter().find(|&&name| name == scope).map(|&name| Self::Permission(name))
    }

    /// Returns a sentence for the operation's description.
    pub(crate) fn sentence(self) -> String {
        match self {
            Self::Person => "Needs a person who is signed in: keys are refused.".to_owned(),
            Self::NewTenant => format!("Needs a person who is signed in, or the permission `{MAKES_TENANTS}`."),
            Self::Permission(name) => format!("Needs the permission `{name}`."),
        }
    }

    /// Returns true if these permissions are enough.
    pub(super) fn is_met_by(self, held: &Permissions) -> bool {
        match self {
            Self::Person => true,
            // Of tenants that are named there, settings are read.
            Self::NewTenant => held.allow("tenants:read"),
            Self::Permission(needed) => held.allow(needed),
        }
    }

    /// Returns the permission that it needs in a tenant, if it is one.
    pub(super) fn permission(self) -> Option<&'static str> {
        match self {
            Self::Person | Self::NewTenant => None,
            Self::Permission(needed) => Some(needed),
        }
    }

    pub(super) fn refusal(self) -> ApiError {
        match self {
            Self::Person => ApiError::people_only(),
            Self::NewTenant => ApiError::missing_permission(MAKES_TENANTS),
            Self::Permission(needed) => ApiError::missing_permission(needed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_declared_is_known_by_its_name() {
        for scope in Needs::meta() {
            let required = RequiredPermission::named(scope.name);
            assert!(required.is_some(), "write {} into ALL of jobs/src/tenants/permissions.rs", scope.name);
        }
        assert_eq!(RequiredPermission::named("person"), Some(RequiredPermission::Person));
        assert_eq!(RequiredPermission::named("jobs:read"), Some(RequiredPermission::Permission("jobs:read")));
        for none in ["", "*", "*:read", "jobs:sing", "JOBS:READ"] {
            assert_eq!(RequiredPermission::named(none), None, "{none}");
        }
    }
}
