//! Typed ids: the engine's and ours. New ids are UUIDv7. Lists are ordered by the database's time,
//! never by an id.

pub use engine::ids::{AccountId, EffectId, JobId, TenantId, WorkerId};

engine::typed_ids! {
    /// A person who signs in.
    UserId;
    /// The session of a person in one browser or program.
    SessionId;
    /// One login to connect an account.
    OauthStateId;
    /// A link with which somebody without an account here connects theirs.
    ConnectLinkId;
    /// A stored token.
    TokenId;
    /// A folder of pictures.
    FolderId;
    /// A picture.
    AssetId;
    /// A month of posts.
    CalendarId;
    /// A post: content, independent of the accounts it is published on.
    PostId;
    /// One post on one account.
    DeliveryId;
}
