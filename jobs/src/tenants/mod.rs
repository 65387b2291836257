//! Tenants, keys for the API, and what those allow.

pub mod keys;
pub mod permissions;
pub mod roles;
pub mod store;
