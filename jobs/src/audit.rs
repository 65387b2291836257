//! The audit log: who did what, written in the transaction that does it, and chained so that tampering shows.

mod anchor;
mod anchor_audit_log;
mod append;
mod chain;
mod erase;
pub mod store;
mod verify;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::ids::{JobId, TenantId};

pub use self::{
    anchor_audit_log::AnchorAuditLog,
    append::append,
    erase::erase_some,
    verify::{Break, Fault, KnownHead, Report, verify},
};

/// What sort of actor does something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// An API key. Payloads from before there were others say nothing.
    #[default]
    Key,
    /// Somebody who signed in.
    Person,
    /// A command on the server.
    Command,
    /// A job, by itself.
    Job,
}

impl ActorKind {
    /// As stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Person => "person",
            Self::Command => "command",
            Self::Job => "job",
        }
    }
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The API key, the person or the job; all zeros for a command on the server.
    #[serde(alias = "key_id")]
    pub id: Uuid,
    /// Which of them.
    #[serde(default)]
    pub kind: ActorKind,
    /// What the key, the person or the job is called.
    pub name: String,
    /// The other end of the connection, which may be a proxy.
    #[serde(default)]
    pub remote_address: Option<String>,
}

impl Actor {
    /// Who calls with an API key.
    #[must_use]
    pub fn key(id: Uuid, name: String, remote_address: Option<String>) -> Self {
        Self { id, kind: ActorKind::Key, name, remote_address }
    }

    /// Somebody who signed in.
    #[must_use]
    pub fn person(id: Uuid, name: String, remote_address: Option<String>) -> Self {
        Self { id, kind: ActorKind::Person, name, remote_address }
    }

    /// A job that nobody asked for, by the name of its kind.
    #[must_use]
    pub fn job(id: JobId, kind: &str) -> Self {
        Self { id: id.0, kind: ActorKind::Job, name: kind.to_owned(), remote_address: None }
    }

    /// Whoever gives commands on the server itself.
    #[must_use]
    pub fn command_line() -> Self {
        Self { id: Uuid::nil(), kind: ActorKind::Command, name: "command line".to_owned(), remote_address: None }
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

impl Entry {
    /// That something was done to a thing.
    pub fn new(
        tenant_id: TenantId,
        action: &str,
        object_type: &'static str,
        object_id: impl std::fmt::Display,
        details: Value,
    ) -> Self {
        Self { tenant_id, action: action.to_owned(), object_type, object_id: object_id.to_string(), details }
    }
}

#[cfg(test)]
mod tests;
