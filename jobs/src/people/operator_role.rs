//! What a person may do as staff.

use crate::tenants::permissions::Permissions;

/// What a person may do as staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum OperatorRole {
    /// Reads everything and changes nothing.
    ReadOnly,
    /// Does everything.
    Full,
}

impl OperatorRole {
    /// As stored and as clients read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Full => "full",
        }
    }

    /// What it allows.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        match self {
            Self::ReadOnly => Permissions::read_only(),
            Self::Full => Permissions::full(),
        }
    }
}
