//! Which permission an operation asks for, told by its address.

use jobs::tenants::permissions::{self, Permissions};
use poem::http::Method;

use crate::ApiError;

/// Actions on jobs that staff take; what else is written there is new work.
const STAFF_ACTIONS: [&str; 6] = ["retry", "cancel", "discard", "run-now", "bulk", "resolve"];

/// What an operation asks of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequiredPermission {
    /// To be a person: it is about whoever is signed in.
    Person,
    /// To be a person, or an operator who may do that: whoever is signed in makes tenants of their own.
    NewTenant,
    /// A permission.
    Permission(String),
}

/// What making tenants for others takes.
pub(super) const MAKES_TENANTS: &str = "tenants:write";

impl RequiredPermission {
    /// Whether these permissions are enough.
    pub(super) fn is_met_by(&self, held: &Permissions) -> bool {
        match self {
            Self::Person => true,
            // Of tenants that are named there, settings are read.
            Self::NewTenant => held.allow("tenants:read"),
            Self::Permission(needed) => held.allow(needed),
        }
    }

    pub(super) fn refusal(&self) -> ApiError {
        match self {
            Self::Person => ApiError::people_only(),
            Self::NewTenant => ApiError::missing_permission(MAKES_TENANTS),
            Self::Permission(needed) => ApiError::missing_permission(needed),
        }
    }
}

/// What the operation at an address asks for; `None`: nobody has said.
pub(crate) fn of(method: &Method, path: &str) -> Option<RequiredPermission> {
    let segments: Vec<&str> = path.strip_prefix("/api/v1/")?.split('/').collect();
    let named = match segments.as_slice() {
        ["auth", ..] | ["tenants", _, "switch" | "leave"] => return Some(RequiredPermission::Person),
        ["tenants"] if *method == Method::POST => return Some(RequiredPermission::NewTenant),
        ["tenants", _, inside, ..] => inside,
        [area, ..] => area,
        [] => return None,
    };
    let area = match *named {
        "queues" | "workers" | "periodic" | "stats" | "parked-accounts" => "engine",
        "folders" => "assets",
        "oauth" => "accounts",
        "audit-log" => "audit",
        "invitations" => "members",
        "usage" => "tenants",
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
    permissions::ALL.contains(&needed.as_str()).then_some(RequiredPermission::Permission(needed))
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
            (Method::GET, "/api/v1/tenants", Some("tenants:read")),
            (Method::GET, "/api/v1/tenants/0", Some("tenants:read")),
            (Method::DELETE, "/api/v1/tenants/0", Some("tenants:write")),
            (Method::GET, "/api/v1/tenants/0/usage", Some("tenants:read")),
            (Method::GET, "/api/v1/tenants/0/posts", Some("posts:read")),
            (Method::POST, "/api/v1/tenants/0/invitations", Some("members:write")),
            (Method::GET, "/api/v1/oauth/network/authorize", Some("accounts:write")),
            (Method::PATCH, "/api/v1/queues/ai", Some("engine:write")),
            (Method::DELETE, "/api/v1/api-keys/0", Some("api-keys:write")),
            (Method::GET, "/api/v1/secrets", None),
            (Method::GET, "/api/v1/tenants/0/secrets", None),
            (Method::GET, "/health", None),
            (Method::GET, "/api/v1/", None),
        ];
        for (method, path, needed) in table {
            let needed = needed.map(|name| RequiredPermission::Permission(name.to_owned()));
            assert_eq!(of(&method, path), needed, "{method} {path}");
        }
        assert_eq!(of(&Method::POST, "/api/v1/tenants"), Some(RequiredPermission::NewTenant));
        assert_eq!(of(&Method::PATCH, "/api/v1/auth/me"), Some(RequiredPermission::Person));
        assert_eq!(of(&Method::POST, "/api/v1/tenants/0/switch"), Some(RequiredPermission::Person));
    }
}
