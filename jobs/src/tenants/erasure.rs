//! The erasure of a tenant. The request locks everybody out at once; a job deletes the rest.

mod erase_tenant;
mod request;
mod store;

pub use erase_tenant::EraseTenant;
pub use request::{Erasure, ErasureError, erase, request};
