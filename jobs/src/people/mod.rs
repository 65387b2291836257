//! People: who they are and how they sign in. Where they belong is in [`crate::tenants`].

pub mod accept;
pub mod access_token;
mod erase_user;
pub mod outside;
pub mod password;
mod prune_people;
pub mod recover;
pub mod sessions;
pub mod sign_in;
pub mod sign_up;
pub mod store;
pub mod throttle;

pub use erase_user::EraseUser;
pub use prune_people::PrunePeople;
