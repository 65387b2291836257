//! The status of an account.

/// The status of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AccountStatus {
    /// The account can be used.
    Active,
    /// The user has to connect the account again.
    NeedsReauth,
    /// Somebody disconnected the account.
    Disconnected,
}

impl AccountStatus {
    /// The name that is stored and that clients see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsReauth => "needs_reauth",
            Self::Disconnected => "disconnected",
        }
    }
}
