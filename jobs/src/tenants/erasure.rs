//! The end of a tenant: from the moment somebody asks for it nobody gets in any more; a job does the rest.

mod erase_tenant;
mod request;
mod store;

pub use erase_tenant::EraseTenant;
pub use request::{Erasure, ErasureError, erase, request};
