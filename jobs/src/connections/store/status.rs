//! Whether an account can be used.

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AccountStatus {
    /// It can.
    Active,
    /// Its user has to connect it again.
    NeedsReauth,
}

impl AccountStatus {
    /// As stored and as clients see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsReauth => "needs_reauth",
        }
    }
}
