//! The filter of jobs, for lists and bulk actions.

use chrono::{DateTime, Utc};
use jobs::{
    engine::{self, ledger::JobFilter},
    ids::{JobId, TenantId},
};
use poem_openapi::{Enum, Object};
use uuid::Uuid;

use crate::{ApiError, auth::Caller, error::ErrorCode};

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum JobState {
    Scheduled,
    Available,
    Executing,
    Retryable,
    Suspended,
    Completed,
    Cancelled,
    Discarded,
}

impl From<JobState> for engine::JobState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Scheduled => Self::Scheduled,
            JobState::Available => Self::Available,
            JobState::Executing => Self::Executing,
            JobState::Retryable => Self::Retryable,
            JobState::Suspended => Self::Suspended,
            JobState::Completed => Self::Completed,
            JobState::Cancelled => Self::Cancelled,
            JobState::Discarded => Self::Discarded,
        }
    }
}

/// A filter of jobs. An absent field matches every job.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct FilterBody {
    /// Only jobs of this tenant.
    pub(super) tenant_id: Option<Uuid>,
    /// Only jobs in this state.
    pub(super) state: Option<JobState>,
    /// Only jobs of this kind.
    #[oai(validator(max_length = 100))]
    pub(super) kind: Option<String>,
    /// Only jobs of this queue.
    #[oai(validator(max_length = 100))]
    pub(super) queue: Option<String>,
    /// Only children of this job.
    pub(super) parent_id: Option<Uuid>,
    /// Only jobs on this account.
    pub(super) account_id: Option<Uuid>,
    /// A text in the kind, in the payload, or in the class or message of the last failure; or an
    /// id: the job's, the account's, or one in the payload. Case does not matter.
    #[oai(validator(min_length = 2, max_length = 200))]
    pub(super) q: Option<String>,
    /// Only jobs made at this time or later.
    pub(super) since: Option<DateTime<Utc>>,
    /// Only jobs made before this time.
    pub(super) until: Option<DateTime<Utc>>,
    /// Only jobs that ended at this time or later.
    pub(super) ended_since: Option<DateTime<Utc>>,
    /// Only jobs that ended before this time.
    pub(super) ended_until: Option<DateTime<Utc>>,
    /// No jobs of these tenants.
    #[oai(default, validator(max_items = 20))]
    pub(super) not_tenant_id: Vec<Uuid>,
    /// No jobs in these states.
    #[oai(default, validator(max_items = 20))]
    pub(super) not_state: Vec<JobState>,
    /// No jobs of these kinds.
    #[oai(default, validator(max_items = 20))]
    pub(super) not_kind: Vec<String>,
    /// No jobs of these queues.
    #[oai(default, validator(max_items = 20))]
    pub(super) not_queue: Vec<String>,
}

fn check_times(
    names: (&str, &str),
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Result<(), ApiError> {
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        let detail = format!("{} should be before {}.", names.0, names.1);
        return Err(ApiError::unprocessable(ErrorCode::BadSince, detail));
    }
    Ok(())
}

impl FilterBody {
    /// Returns true if every job matches.
    pub(super) fn is_empty(&self) -> bool {
        self.tenant_id.is_none()
            && self.state.is_none()
            && self.kind.is_none()
            && self.queue.is_none()
            && self.parent_id.is_none()
            && self.account_id.is_none()
            && self.q.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.ended_since.is_none()
            && self.ended_until.is_none()
            && self.not_tenant_id.is_empty()
            && self.not_state.is_empty()
            && self.not_kind.is_empty()
            && self.not_queue.is_empty()
    }

    /// Returns the filter limited to the jobs that the caller may see: those of its tenant.
    pub(crate) fn checked(self, caller: &Caller) -> Result<JobFilter, ApiError> {
        check_times(("since", "until"), self.since, self.until)?;
        check_times(("ended_since", "ended_until"), self.ended_since, self.ended_until)?;
        if self.q.as_deref().is_some_and(|q| q.contains('\0')) {
            return Err(ApiError::unprocessable(ErrorCode::BadQ, "q: it should be a text without NUL characters."));
        }
        let tenant_id = match self.tenant_id {
            Some(named) => Some(caller.tenant(named)?),
            None => caller.own_tenant()?,
        };
        Ok(JobFilter {
            tenant_id,
            state: self.state.map(engine::JobState::from),
            kind: self.kind,
            queue: self.queue,
            parent_id: self.parent_id.map(JobId),
            account_id: self.account_id,
            text: self.q,
            since: self.since,
            until: self.until,
            ended_since: self.ended_since,
            ended_until: self.ended_until,
            not_tenants: self.not_tenant_id.into_iter().map(TenantId).collect(),
            not_states: self.not_state.into_iter().map(engine::JobState::from).collect(),
            not_kinds: self.not_kind,
            not_queues: self.not_queue,
            after: None,
        })
    }
}
