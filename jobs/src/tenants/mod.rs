//! Tenants, keys for the API, and what those allow.

pub mod invitations;
pub mod keys;
pub mod members;
pub mod permissions;
pub mod roles;
pub mod store;
