//! Typed ids: the engine's and ours. All are UUIDv7 when made here; lists order by the database's time, never by an id.

pub use engine::ids::{AccountId, EffectId, JobId, TenantId, WorkerId};

engine::typed_ids! {
    /// A person who signs in.
    UserId;
    /// A person's being signed in, in one browser or program.
    SessionId;
    /// One run of connecting an account.
    OauthStateId;
    /// A stored token.
    TokenId;
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
