//! The audit log: who did what. Entries are written in the transaction that does it, and are
//! chained, so tampering is detected.

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
    verify::{Break, ChainReport, Fault, KnownHead, Report, VerifyError, verify, verify_chain},
};

/// The kind of an actor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// An API key. Older payloads have no kind and mean this one.
    #[default]
    Key,
    /// A person who is signed in.
    Person,
    /// A command on the server.
    Command,
    /// A job that acts by itself.
    Job,
}

impl ActorKind {
    /// The name that is stored.
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

/// The actor of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The API key, the person or the job; all zeros for a command on the server.
    #[serde(alias = "key_id")]
    pub id: Uuid,
    /// The kind of the actor.
    #[serde(default)]
    pub kind: ActorKind,
    /// The name of the key, the person or the job.
    pub name: String,
    /// The remote end of the connection, which may be a proxy.
    #[serde(default)]
    pub remote_address: Option<String>,
}

impl Actor {
    /// Returns the actor of a call with an API key.
    #[must_use]
    pub fn key(id: Uuid, name: String, remote_address: Option<String>) -> Self {
        Self { id, kind: ActorKind::Key, name, remote_address }
    }

    /// Returns the actor for a person who is signed in.
    #[must_use]
    pub fn person(id: Uuid, name: String, remote_address: Option<String>) -> Self {
        Self { id, kind: ActorKind::Person, name, remote_address }
    }

    /// Returns the actor for a job that nobody requested, named by its kind.
    #[must_use]
    pub fn job(id: JobId, kind: &str) -> Self {
        Self { id: id.0, kind: ActorKind::Job, name: kind.to_owned(), remote_address: None }
    }

    /// Returns the actor of commands on the server itself.
    #[must_use]
    pub fn command_line() -> Self {
        Self { id: Uuid::nil(), kind: ActorKind::Command, name: "command line".to_owned(), remote_address: None }
    }
}

/// One recorded action.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The tenant of the object; [`TenantId::SYSTEM`] for actions that concern the installation.
    pub tenant_id: TenantId,
    /// The action, as `job.retry`.
    pub action: String,
    /// The type of the object.
    pub object_type: &'static str,
    /// The id of the object.
    pub object_id: String,
    /// The request, and the values before and after where they matter.
    pub details: Value,
}

impl Entry {
    /// Returns the entry of an action on an object.
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
