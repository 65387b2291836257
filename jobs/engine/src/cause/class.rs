//! Classes of failures.

use serde::Serialize;

/// The class of a failure, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseClass {
    /// The database failed or refused.
    Database,
    /// Our own code or configuration failed.
    Internal,
    /// A follow-up job could not be enqueued.
    Enqueue,
    /// The payload does not match the kind.
    Payload,
    /// The attempt took too long.
    Timeout,
    /// The attempt panicked, because of a bug.
    Panic,
    /// Children of the job did not complete.
    Children,
    /// The job was cancelled.
    Cancelled,
    /// The process of the attempt died or was cut off.
    Lost,
    /// The process of the attempt was stopped.
    Stopped,
    /// The process in which the job was to run alone did not start.
    Isolation,
    /// The job killed the process in which it ran alone.
    Poison,
    /// Staff discarded the job.
    DiscardedByStaff,
    /// The service sent no usable response; a retry may succeed.
    Transient,
    /// The outcome of a call is not known yet.
    Ambiguous,
    /// A rate limit was hit; the job tries again later.
    Rate,
    /// The provider demands that we slow down.
    Policy,
    /// The account's login has expired.
    Reauth,
    /// The account's login lacks a permission.
    Permission,
    /// The login has to be started again.
    RestartLogin,
    /// The thing exists already.
    Duplicate,
    /// A retry cannot succeed.
    Permanent,
    /// Our configuration is wrong.
    Config,
    /// The provider returned an error that we do not know.
    Unknown,
    /// The storage did not respond.
    Storage,
    /// The AI's response cannot be used.
    Unusable,
    /// The AI declined.
    Declined,
    /// The recipient does not exist.
    Recipient,
    /// A limit of the tenant is used up.
    Limit,
    /// Something else has to end first.
    Busy,
    /// A tenant would be left without an owner, or Linecook without a full operator.
    LastOwner,
}

impl CauseClass {
    /// Returns the name in the ledger.
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

    /// Returns true if the account's user has to connect it again or grant more.
    #[must_use]
    pub fn is_for_the_user(self) -> bool {
        matches!(self, Self::Reauth | Self::Permission)
    }
}
