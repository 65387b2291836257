//! The ledger of jobs for staff: lists, details and actions.
//!
//! Unfinished jobs are in `jobs`, finished ones in `job_history`. The view `job_ledger` shows both.

mod act;
mod detail;
mod filter;
mod job;
mod list;
mod plan;
mod resolve;
mod resume;
mod swap;
#[cfg(test)]
mod tests;
mod words;

pub use act::{Acted, ActedJob, act, act_on, cancel, preview, retry};
pub use detail::{AttemptRow, Children, EffectRow, children, list_attempts, list_effects};
pub use filter::{JobFilter, ListPosition};
pub use job::{JobRow, get_job};
pub use list::{Listed, list_jobs};
pub use plan::Action;
pub use resolve::{Resolution, Resolved, resolve};
pub use resume::resume_accounts;
pub use swap::{Swapped, swap_claims};
pub use words::index_words;

use crate::{EffectState, JobState};

/// The reasons why an action on a job is refused.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The job does not exist.
    #[error("the job does not exist")]
    Missing,
    /// The job has no effect with that id.
    #[error("the job has no such effect")]
    NoEffect,
    /// A call of the job may have happened. Acting on the job could repeat the call.
    #[error("the outcome of a call of the job is not known yet")]
    OpenEffect,
    /// A call of the job is on its way: the job can no longer be cancelled.
    #[error("a call of the job has left already")]
    TooLate,
    /// The effect does not wait for a person: it is in this state.
    #[error("the effect is {0}, so nothing is left to decide")]
    Settled(EffectState),
    /// The provider returned this id, so the call did happen.
    #[error("the provider confirmed the call with the id {0}")]
    Happened(String),
    /// The provider may still show the call, or an attempt reads back right now.
    #[error("Linecook is still looking for the call")]
    StillLooking,
    /// The job's calls were not looked for often enough, or a candidate for one of them was seen.
    #[error("a call of the job was not looked for often enough")]
    NotLookedFor,
    /// The two effects are not confirmed calls on the same account.
    #[error("these are not two confirmed calls on one account")]
    NotTwoClaims,
    /// The remote id belongs to another effect.
    #[error("the remote id belongs to another effect")]
    RemoteIdTaken,
    /// The action makes no sense in the job's state.
    #[error("the job is {0}")]
    State(JobState),
    /// An unfinished job has the same unique key.
    #[error("an unfinished job has the same key")]
    LiveTwin,
    /// The job waits for its children to end.
    #[error("the job waits for its children")]
    Children,
    /// The job has too many unfinished descendants to cancel at once.
    #[error("the job has too many unfinished descendants")]
    TooManyChildren,
    /// The job kept changing its state during all tries.
    #[error("the job is changing its state")]
    Changing,
    /// The database failed.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

impl ActionError {
    /// Returns a stable code for programs.
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
