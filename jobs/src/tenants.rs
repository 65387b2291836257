//! Tenants: settings, members, keys, permissions, usage and erasure.

mod countries;
mod create;
pub mod erasure;
pub mod invitations;
pub mod inviter;
pub mod keys;
pub mod members;
pub mod membership;
mod period;
pub mod permissions;
pub mod plans;
pub mod roles;
pub mod settings;
pub mod store;
mod update;
pub mod usage;

pub use create::{CreateError, NewTenant, create};
pub use erasure::EraseTenant;
pub use period::Period;
pub use update::{UpdateError, update};
