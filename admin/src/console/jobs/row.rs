//! A job as a line of a list.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jobs::{
    engine::{JobState, ledger::JobRow},
    ids::TenantId,
};

use crate::console::{
    visitor::Visitor,
    words::{self, Look, When},
};

/// A job as a line of a list.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) kind: String,
    pub(crate) state: Look,
    /// The tenant, where a list has several.
    pub(crate) tenant: Option<String>,
    /// The last failure, or what the job waits for.
    pub(crate) remark: String,
    pub(crate) when: When,
    /// The number of failures in words; empty if there was none.
    pub(crate) failures: String,
}

impl Row {
    pub(super) fn of(
        job: &JobRow,
        visitor: &Visitor,
        tenants: &BTreeMap<TenantId, String>,
        now: DateTime<Utc>,
    ) -> Self {
        let failures = i64::from(job.failures + job.crashes);
        Self {
            id: job.id.to_string(),
            address: visitor.to(&format!("/jobs/{}", job.id)),
            kind: words::of_name(&job.kind),
            state: words::state(job.state),
            tenant: tenants.get(&job.tenant_id).cloned(),
            remark: remark(job),
            when: When::of(time_of(job), now),
            failures: if failures == 0 { String::new() } else { words::count(failures, "failure", "failures") },
        }
    }
}

/// Returns the time that matters in the job's state.
fn time_of(job: &JobRow) -> DateTime<Utc> {
    let time = match job.state {
        JobState::Scheduled | JobState::Available | JobState::Retryable | JobState::Suspended => job.run_at,
        JobState::Executing => job.started_at,
        JobState::Completed | JobState::Cancelled | JobState::Discarded => job.ended_at,
    };
    time.unwrap_or(job.created_at)
}

fn remark(job: &JobRow) -> String {
    let message = job.error.as_ref().and_then(|error| error["message"].as_str()).unwrap_or_default();
    match (job.state, job.suspended_on.as_deref()) {
        (JobState::Suspended, Some(reason)) if message.is_empty() => hold(reason).to_owned(),
        (JobState::Suspended, Some(reason)) => format!("{} {message}", hold(reason)),
        (JobState::Completed, _) => String::new(),
        _ => message.to_owned(),
    }
}

/// Returns what a job on hold waits for.
pub(super) fn hold(suspended_on: &str) -> &'static str {
    match suspended_on {
        "children" => "Waits for the jobs that it started.",
        "reconcile" => "Looks whether its call arrived.",
        "unknown_effect" => "Nobody knows whether its call arrived.",
        "person" => "Waits for a person.",
        account if account.starts_with("account:") => "Its account is parked.",
        kind if kind.starts_with("kind:") => "No worker runs this kind of job yet.",
        _ => "Waits.",
    }
}
