//! Typed ids. Those made here are UUIDv7. Lists are sorted by the database's time, never by an id.

use uuid::Uuid;

/// Declares types of ids, each with its doc comment. The calling crate needs serde, sqlx and uuid.
#[macro_export]
macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, sqlx::Type,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// Makes a new id.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default id would not be a new one")]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

typed_ids! {
    /// A tenant: every job belongs to exactly one.
    TenantId;
    /// A job: one row of the ledger.
    JobId;
    /// A worker process for the length of one lease.
    WorkerId;
    /// An effect: one call that the outside world sees.
    EffectId;
    /// An account that jobs act on: with its tenant it makes a lane.
    AccountId;
}

impl TenantId {
    /// The reserved tenant that owns jobs without a customer.
    pub const SYSTEM: Self = Self(Uuid::nil());
}
