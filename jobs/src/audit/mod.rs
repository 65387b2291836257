//! The audit log: who did what, written in the transaction that does it.

pub mod store;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::ids::TenantId;

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The API key; all zeros for a command on the server.
    pub key_id: Uuid,
    /// What the key is called.
    pub name: String,
    /// The other end of the connection, which may be a proxy.
    #[serde(default)]
    pub remote_address: Option<String>,
}

impl Actor {
    /// Whoever gives commands on the server itself.
    #[must_use]
    pub fn command_line() -> Self {
        Self { key_id: Uuid::nil(), name: "command line".to_owned(), remote_address: None }
    }
}

/// Something done.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Whose thing it was done to; [`TenantId::SYSTEM`] for what concerns everybody.
    pub tenant_id: TenantId,
    /// What was done, as `job.retry`.
    pub action: String,
    /// What sort of thing it was done to.
    pub object_type: &'static str,
    /// Which one.
    pub object_id: String,
    /// What was asked for, and what it was before and after where that matters.
    pub details: Value,
}
