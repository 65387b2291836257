//! Roles in a tenant, and their permissions.

use super::permissions::Permissions;

/// The role of a person in a tenant; each role allows less than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Role {
    /// May do everything, and decides who else is an owner. A tenant has at least one.
    Owner,
    /// May do everything except changing owners and erasing the tenant.
    Admin,
    /// Makes content, and publishes none: pictures, calendars, posts.
    Member,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Admin, Self::Member];

    /// The name that is stored and that clients write.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// Returns the role of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The permissions of the role in its tenant.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Owner | Self::Admin => Permissions::full(),
            Self::Member => Permissions::of_members(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_by_its_name() {
        for role in Role::ALL {
            assert_eq!(Role::named(role.name()), Some(role));
        }
        assert_eq!(Role::named("root"), None);
    }

    #[test]
    fn members_make_content_and_neither_publish_nor_connect_nor_let_in() {
        let member = Role::Member.permissions();
        for allowed in ["posts:write", "assets:write", "calendars:write", "jobs:read", "tenants:read", "members:read"] {
            assert!(member.allow(allowed), "{allowed}");
        }
        for refused in [
            "accounts:write",
            "api-keys:read",
            "audit:read",
            "jobs:retry",
            "jobs:write",
            "members:write",
            "posts:publish",
            "tenants:write",
        ] {
            assert!(!member.allow(refused), "{refused}");
        }
    }
}
