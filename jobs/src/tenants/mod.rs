//! Tenants and keys for the API.

pub mod keys;
pub mod store;
