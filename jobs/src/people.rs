//! People: their accounts and how they sign in. Memberships are in [`crate::tenants`].

pub mod accept;
pub mod access_token;
mod erase_user;
pub mod external_login;
mod operator_role;
pub mod password;
mod profile;
mod prune_people;
pub mod recover;
pub mod sessions;
pub mod sign_in;
pub mod sign_up;
pub mod store;
pub mod throttle;

pub use erase_user::EraseUser;
pub use operator_role::OperatorRole;
pub use profile::{LeaveError, leave};
pub use prune_people::PrunePeople;

/// Returns true if the text has the form of an email address. Only a delivered mail proves that the
/// address exists.
#[must_use]
pub fn is_address(email: &str) -> bool {
    let is_plain = !email.contains(|c: char| c.is_whitespace() || c.is_control());
    let parts = email.split_once('@');
    let is_whole = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    (3..=254).contains(&email.len()) && is_plain && is_whole
}
