//! The roles of operators, the staff of the installation.

use crate::tenants::permissions::Permissions;

/// The role of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum OperatorRole {
    /// May read everything and change nothing.
    ReadOnly,
    /// May do everything.
    Full,
}

impl OperatorRole {
    /// The name that is stored and that clients read.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Full => "full",
        }
    }

    /// The permissions of the role.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        match self {
            Self::ReadOnly => Permissions::read_only(),
            Self::Full => Permissions::full(),
        }
    }
}
