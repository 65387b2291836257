//! States of jobs and effects, and outcomes of attempts, as the ledger stores them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum JobState {
    /// The job's time has not come.
    Scheduled,
    /// The job is due: it waits for its turn, or its id is in the window.
    Available,
    /// An attempt runs, under a worker's lease.
    Executing,
    /// The job failed and waits for its next attempt.
    Retryable,
    /// The job waits for what `suspended_on` names.
    Suspended,
    /// The job is done.
    Completed,
    /// The job was cancelled.
    Cancelled,
    /// The job was given up.
    Discarded,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Available,
        Self::Executing,
        Self::Retryable,
        Self::Suspended,
        Self::Completed,
        Self::Cancelled,
        Self::Discarded,
    ];

    /// Returns the name in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Executing => "executing",
            Self::Retryable => "retryable",
            Self::Suspended => "suspended",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
        }
    }

    /// Returns true if the job has ended: its row is in the history.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Discarded)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The state of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum EffectState {
    /// Nothing was sent.
    Intended,
    /// The call may have happened: the job reads back.
    Sent,
    /// The call happened.
    Confirmed,
    /// The call did not happen and never will.
    Failed,
    /// The outcome is unknown and waits for a person.
    Unknown,
}

impl EffectState {
    /// Returns the name in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for EffectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The outcome of an attempt that did not complete its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The attempt failed and is retried.
    Retry,
    /// The job tries again later, at no cost.
    Later,
    /// The job ended with this attempt.
    Fail,
    /// The job waits for something other than time.
    Park,
    /// The attempt looked for the result of a call.
    Reconcile,
    /// The attempt's process died.
    Lost,
    /// The attempt was handed back.
    Returned,
}

impl AttemptOutcome {
    /// Returns the name in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Later => "later",
            Self::Fail => "fail",
            Self::Park => "park",
            Self::Reconcile => "reconcile",
            Self::Lost => "lost",
            Self::Returned => "returned",
        }
    }
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
