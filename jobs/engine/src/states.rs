//! The states of jobs and effects, and how attempts end: as the ledger has them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum JobState {
    /// Its time has not come.
    Scheduled,
    /// It is due: it waits for its turn, or is in the window.
    Available,
    /// An attempt runs, under a worker's lease.
    Executing,
    /// It failed and waits for its next attempt.
    Retryable,
    /// It waits for what `suspended_on` names.
    Suspended,
    /// It is done.
    Completed,
    /// Somebody cancelled it.
    Cancelled,
    /// It was given up.
    Discarded,
}

impl JobState {
    /// The name in the ledger.
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

    /// Whether the job has ended: its row is in the history.
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
    /// It may have happened: it is read back.
    Sent,
    /// It happened.
    Confirmed,
    /// It did not happen and never will.
    Failed,
    /// Nobody can tell: it waits for a person.
    Unknown,
}

impl EffectState {
    /// The name in the ledger.
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

/// What an attempt that did not complete its job came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It failed and is tried again.
    Retry,
    /// It is tried again later, at no cost.
    Later,
    /// The job ended with it.
    Fail,
    /// The job waits for something that is not time.
    Park,
    /// It looked for what became of a call.
    Reconcile,
    /// Its process died.
    Lost,
    /// It was handed back.
    Returned,
}

impl AttemptOutcome {
    /// The name in the ledger.
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
