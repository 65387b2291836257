//! Typed ids. All are UUIDv7 when made here; lists order by the database's time, never by an id.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default id would not be a new one")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A tenant: whatever is not an operator's belongs to exactly one.
    TenantId;
    /// A person who signs in.
    UserId;
    /// A person's being signed in, in one browser or program.
    SessionId;
    /// A job: one row of the ledger.
    JobId;
    /// A worker process for the length of one lease.
    WorkerId;
    /// An effect: one call that the outside world sees.
    EffectId;
    /// One run of connecting an account.
    OauthStateId;
    /// A stored token.
    TokenId;
    /// A connected account that one can publish to.
    AccountId;
    /// A folder of pictures.
    FolderId;
    /// A picture.
    AssetId;
    /// A month of posts.
    CalendarId;
    /// A post: content, wherever it goes.
    PostId;
    /// One post on one account.
    DeliveryId;
}

impl TenantId {
    /// The reserved tenant that owns jobs without a customer, and operators' keys.
    pub const SYSTEM: Self = Self(Uuid::nil());
}
