//! The filter of jobs, for lists and for actions on many.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    JobState,
    ids::{JobId, TenantId},
};

/// A filter of jobs. An absent field matches every job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobFilter {
    /// Jobs of this tenant.
    pub tenant_id: Option<TenantId>,
    /// Jobs in this state.
    pub state: Option<JobState>,
    /// Jobs of this kind.
    pub kind: Option<String>,
    /// Jobs of this queue.
    pub queue: Option<String>,
    /// Children of this job.
    pub parent_id: Option<JobId>,
    /// Jobs that act on this account.
    pub account_id: Option<Uuid>,
    /// Jobs with this text in the kind, in the payload, or in the last failure's class or message;
    /// or with this id anywhere.
    pub text: Option<String>,
    /// Jobs made at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Jobs made before this time.
    pub until: Option<DateTime<Utc>>,
    /// Jobs that ended at this time or later.
    pub ended_since: Option<DateTime<Utc>>,
    /// Jobs that ended before this time.
    pub ended_until: Option<DateTime<Utc>>,
    /// No jobs of these tenants.
    pub not_tenants: Vec<TenantId>,
    /// No jobs in these states.
    pub not_states: Vec<JobState>,
    /// No jobs of these kinds.
    pub not_kinds: Vec<String>,
    /// No jobs of these queues.
    pub not_queues: Vec<String>,
    /// Jobs older than this position, for pagination.
    #[serde(skip)]
    pub after: Option<ListPosition>,
}

/// A position in a list that is sorted newest first: a time of creation and an id.
pub type ListPosition = (DateTime<Utc>, Uuid);

impl JobFilter {
    /// Returns the text in the form of the SQL function `job_text`. A text of nothing but quotes
    /// stays, and so matches no job.
    pub(super) fn searched_text(&self) -> Option<String> {
        let text = self.text.as_deref()?;
        let blank = |c: char| if matches!(c, '"' | '\\') || c.is_control() { ' ' } else { c };
        let searched: String = text.trim().chars().map(blank).collect();
        Some(if searched.trim().is_empty() { text.to_owned() } else { searched.to_lowercase() })
    }

    /// Returns true if only finished jobs can match, false if only unfinished jobs can.
    pub(super) fn is_finished(&self) -> Option<bool> {
        if self.ended_since.is_some() || self.ended_until.is_some() {
            return Some(true);
        }
        let has_all = |is_finished: bool| {
            JobState::ALL.iter().all(|state| state.is_finished() != is_finished || self.not_states.contains(state))
        };
        match self.state {
            Some(state) => Some(state.is_finished()),
            None if has_all(true) => Some(false),
            None if has_all(false) => Some(true),
            None => None,
        }
    }
}
