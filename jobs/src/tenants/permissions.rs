//! Permissions of callers: names like `jobs:read`.

/// Every permission that an operation of the API, or a kind of job, can require.
pub const ALL: &[&str] = &[
    "accounts:read",
    "accounts:write",
    "api-keys:read",
    "api-keys:write",
    "assets:read",
    "assets:write",
    "audit:read",
    "calendars:read",
    "calendars:write",
    "engine:read",
    "engine:write",
    "jobs:read",
    "jobs:retry",
    "jobs:write",
    "members:read",
    "members:write",
    "operators:read",
    "operators:write",
    "posts:publish",
    "posts:read",
    "posts:write",
    "tenants:read",
    "tenants:write",
];

/// Allows everything.
const FULL: &str = "*";

/// Allows reading everything.
const READ_ONLY: &str = "*:read";

/// The permissions of people who make content for a tenant. It goes out when an admin publishes it.
const OF_MEMBERS: &[&str] = &[
    "accounts:read",
    "assets:read",
    "assets:write",
    "calendars:read",
    "calendars:write",
    "jobs:read",
    "members:read",
    "posts:read",
    "posts:write",
    "tenants:read",
];

/// A name that is not a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no permission {0:?}")]
pub struct NoPermission(pub String);

/// The permissions of a caller, within the tenants it may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions(Vec<String>);

impl Permissions {
    /// Allows everything.
    #[must_use]
    pub fn full() -> Self {
        Self(vec![FULL.to_owned()])
    }

    /// Allows reading everything and changing nothing.
    #[must_use]
    pub fn read_only() -> Self {
        Self(vec![READ_ONLY.to_owned()])
    }

    /// Allows making content (pictures, calendars, posts), but not publishing it.
    #[must_use]
    pub fn of_members() -> Self {
        Self(OF_MEMBERS.iter().copied().map(str::to_owned).collect())
    }

    /// Returns the permissions with these names. `*:read` and `*` stand for many.
    ///
    /// # Errors
    /// Returns the first name that is not a permission.
    pub fn named(mut names: Vec<String>) -> Result<Self, NoPermission> {
        let is_one = |name: &String| [FULL, READ_ONLY].contains(&name.as_str()) || ALL.contains(&name.as_str());
        if let Some(unknown) = names.iter().find(|name| !is_one(name)) {
            return Err(NoPermission(unknown.clone()));
        }
        names.sort();
        names.dedup();
        Ok(Self(names))
    }

    /// Returns permissions from their stored names.
    #[must_use]
    pub fn stored(names: Vec<String>) -> Self {
        Self(names)
    }

    /// The names of the permissions.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Returns true if the permissions include `needed`.
    #[must_use]
    pub fn allow(&self, needed: &str) -> bool {
        self.0.iter().any(|held| held == needed || held == FULL || (held == READ_ONLY && needed.ends_with(":read")))
    }

    /// Returns the first of `others` that these permissions do not include.
    #[must_use]
    pub fn first_beyond<'a>(&self, others: &'a Self) -> Option<&'a str> {
        others.0.iter().map(String::as_str).find(|other| !self.allow(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Permissions {
        Permissions::named(names.iter().map(|&name| name.to_owned()).collect()).unwrap()
    }

    #[test]
    fn a_permission_allows_itself_and_stars_allow_many() {
        let table = [
            (named(&["jobs:read"]), "jobs:read", true),
            (named(&["jobs:read"]), "jobs:retry", false),
            (named(&["jobs:read"]), "posts:read", false),
            (Permissions::read_only(), "posts:read", true),
            (Permissions::read_only(), "posts:write", false),
            (Permissions::full(), "engine:write", true),
        ];
        for (held, needed, allowed) in table {
            assert_eq!(held.allow(needed), allowed, "{held:?} {needed}");
        }
    }

    #[test]
    fn nobody_gives_more_than_he_has() {
        let table = [
            (named(&["jobs:read", "posts:write"]), named(&["posts:write"]), None),
            (named(&["jobs:read"]), named(&["jobs:read", "jobs:write"]), Some("jobs:write")),
            (named(&["jobs:read"]), Permissions::read_only(), Some("*:read")),
            (Permissions::read_only(), Permissions::full(), Some("*")),
            (Permissions::full(), Permissions::full(), None),
            (Permissions::full(), Permissions::read_only(), None),
        ];
        for (giver, given, beyond) in table {
            assert_eq!(giver.first_beyond(&given), beyond, "{giver:?} {given:?}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["", "jobs", "jobs:*", "jobs:sing", "JOBS:READ", "* "] {
            assert_eq!(Permissions::named(vec![name.to_owned()]), Err(NoPermission(name.to_owned())));
        }
    }
}
