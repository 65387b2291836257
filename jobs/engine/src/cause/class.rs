//! The classes of failures.

use serde::Serialize;

/// What sort of failure it was, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseClass {
    /// The database did not answer or refused.
    Database,
    /// Something of ours failed.
    Internal,
    /// A follow-up job could not be enqueued.
    Enqueue,
    /// The payload is not one of the kind.
    Payload,
    /// It took too long.
    Timeout,
    /// A bug stopped it.
    Panic,
    /// Its children did not complete.
    Children,
    /// Somebody asked to cancel it.
    Cancelled,
    /// Its process died or was cut off.
    Lost,
    /// Its process was stopped.
    Stopped,
    /// The process in which it was to run alone did not start.
    Isolation,
    /// It took down the process in which it ran alone.
    Poison,
    /// Somebody discarded it.
    DiscardedByStaff,
    /// There was no answer; another try may have one.
    Transient,
    /// Nobody can tell yet whether it happened.
    Ambiguous,
    /// Too many at once: it is to come later.
    Rate,
    /// The provider wants us to slow down.
    Policy,
    /// The login of the account is over.
    Reauth,
    /// The login does not allow it.
    Permission,
    /// The login has to be started anew.
    RestartLogin,
    /// It is there already.
    Duplicate,
    /// It will never work.
    Permanent,
    /// It is set up wrongly on our side.
    Config,
    /// The provider answered with an error that we do not know.
    Unknown,
    /// The storage did not answer.
    Storage,
    /// What AI answered cannot be used.
    Unusable,
    /// AI declined.
    Declined,
    /// There is no such recipient.
    Recipient,
    /// A limit of the tenant is used up.
    Limit,
    /// Something else has to end first.
    Busy,
    /// A tenant would be left without an owner.
    LastOwner,
}

impl CauseClass {
    /// The name in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Internal => "internal",
            Self::Enqueue => "enqueue",
            Self::Payload => "payload",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Children => "children",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Stopped => "stopped",
            Self::Isolation => "isolation",
            Self::Poison => "poison",
            Self::DiscardedByStaff => "discarded_by_staff",
            Self::Transient => "transient",
            Self::Ambiguous => "ambiguous",
            Self::Rate => "rate",
            Self::Policy => "policy",
            Self::Reauth => "reauth",
            Self::Permission => "permission",
            Self::RestartLogin => "restart_login",
            Self::Duplicate => "duplicate",
            Self::Permanent => "permanent",
            Self::Config => "config",
            Self::Unknown => "unknown",
            Self::Storage => "storage",
            Self::Unusable => "unusable",
            Self::Declined => "declined",
            Self::Recipient => "recipient",
            Self::Limit => "limit",
            Self::Busy => "busy",
            Self::LastOwner => "last_owner",
        }
    }

    /// Whether the account's user has to connect it again, or to allow more.
    #[must_use]
    pub fn is_for_the_user(self) -> bool {
        matches!(self, Self::Reauth | Self::Permission)
    }
}
