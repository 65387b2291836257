//! Keys of their own that tenants have at other services. AI writes with a tenant's key in place of
//! the platform's. Publer's key opens a workspace, whose accounts are connected.

mod ask;
mod manage;
mod own_key;
pub mod store;

pub use ask::ask;
pub use manage::{check_openai, check_publer, choose_workspace, delete, put_openai, put_publer};
pub use own_key::{KeyError, OwnKey, Service};
