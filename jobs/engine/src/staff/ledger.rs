//! The ledger for staff: what jobs there are, what happened to them, and what may be done to them.
//!
//! Unfinished jobs are in `jobs`, finished ones in `job_history`; the view `job_ledger` is both.

mod act;
mod detail;
mod job;
mod list;
mod plan;
mod resolve;
mod resume;
mod swap;
#[cfg(test)]
mod tests;

pub use act::{Acted, ActedJob, act, act_on, cancel, preview, retry};
pub use detail::{AttemptRow, Children, EffectRow, children, list_attempts, list_effects};
pub use job::{JobRow, get_job};
pub use list::{JobFilter, ListPosition, Listed, list_jobs};
pub use plan::Action;
pub use resolve::{Resolution, Resolved, resolve};
pub use resume::resume_accounts;
pub use swap::{Swapped, swap_claims};

use crate::{EffectState, JobState};

/// Why staff cannot do that to a job now.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// There is no such job.
    #[error("there is no such job")]
    Missing,
    /// There is no such effect of that job.
    #[error("the job has no such effect")]
    NoEffect,
    /// A call of it may have happened; acting on it could repeat the call.
    #[error("the outcome of a call is not known yet")]
    OpenEffect,
    /// A call of it is on its way: it cannot be cancelled any more.
    #[error("a call has left already")]
    TooLate,
    /// The effect does not wait for a person; in this state it is.
    #[error("the effect is {0}")]
    Settled(EffectState),
    /// The provider answered with this id: it cannot be said not to have happened.
    #[error("the provider answered with {0}")]
    Happened(String),
    /// The provider may still show the call by itself, or is being read right now.
    #[error("the call is still being looked for")]
    StillLooking,
    /// Its calls were not looked for often enough, or something was seen that may be one of them.
    #[error("its calls were not looked for often enough")]
    NotLookedFor,
    /// These are no two calls of one account of which both are known.
    #[error("these are no two claims on one account")]
    NotTwoClaims,
    /// Another effect of the account is known to be that.
    #[error("the remote id belongs to another effect")]
    RemoteIdTaken,
    /// It is in a state in which that makes no sense.
    #[error("the job is {0}")]
    State(JobState),
    /// An unfinished job does the same already.
    #[error("an unfinished job has the same key")]
    LiveTwin,
    /// It goes on when its children have ended.
    #[error("its children have not ended")]
    Children,
    /// It has too many unfinished descendants to cancel in one go.
    #[error("it has too many unfinished descendants")]
    TooManyChildren,
    /// It kept changing its state while that was tried.
    #[error("it is changing its state")]
    Changing,
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

impl ActionError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing | Self::NoEffect => "not_found",
            Self::OpenEffect => "outcome_unknown",
            Self::TooLate => "too_late",
            Self::Settled(_) => "effect_settled",
            Self::Happened(_) => "effect_happened",
            Self::StillLooking => "still_looking",
            Self::NotLookedFor => "not_looked_for",
            Self::NotTwoClaims => "not_two_claims",
            Self::RemoteIdTaken => "remote_id_taken",
            Self::State(_) => "wrong_state",
            Self::LiveTwin => "live_twin",
            Self::Children => "children_unfinished",
            Self::TooManyChildren => "too_many_children",
            Self::Changing => "state_changing",
            Self::Database(_) => "database",
        }
    }
}
