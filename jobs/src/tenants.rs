//! Tenants: settings, members, keys, permissions, usage and erasure.

mod countries;
pub mod erasure;
pub mod invitations;
pub mod keys;
pub mod members;
mod period;
pub mod permissions;
pub mod plans;
pub mod roles;
pub mod settings;
pub mod store;
pub mod usage;

pub use erasure::EraseTenant;
pub use period::Period;
