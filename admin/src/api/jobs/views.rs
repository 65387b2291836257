//! The views of jobs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jobs::{
    engine::{
        events::{EventRow, Progress},
        ledger::{AttemptRow, Children, EffectRow, JobRow},
    },
    kinds,
};
use poem_openapi::Object;
use serde_json::Value;
use uuid::Uuid;

use crate::{auth::Audience, http::paging::Listed};

/// A job.
#[derive(Debug, Object)]
pub(crate) struct JobView {
    id: Uuid,
    tenant_id: Uuid,
    kind: String,
    queue: String,
    /// The payload: ids and plain values. `[redacted]` replaces the fields that a kind keeps
    /// secret, and the whole payload of an unknown kind.
    args: Value,
    /// `scheduled`, `available`, `executing`, `retryable`, `suspended`, `completed`, `cancelled` or
    /// `discarded`.
    state: String,
    /// The priority: 1 is before others, 2 is normal, 3 is when nothing else waits.
    priority: i16,
    /// The account that it acts on.
    account_id: Option<Uuid>,
    /// The time at which the job is due. Absent while a suspended job waits for something other
    /// than time.
    run_at: Option<DateTime<Utc>>,
    /// The number of attempts so far.
    attempt: i32,
    /// The number of failed attempts.
    failures: i32,
    /// The number of attempts whose process died.
    crashes: i32,
    /// The number of times that a process died while it ran only this job.
    poison: i16,
    /// The worker that runs the job, or ran it last.
    worker_id: Option<Uuid>,
    parent_id: Option<Uuid>,
    /// The number of unfinished children.
    pending: i32,
    /// The number of children that ended without completing.
    failed_children: i32,
    /// The reason why the job is suspended: `children`, `reconcile`, `unknown_effect`, `person`,
    /// `account:<id>` or `kind:<name>`.
    suspended_on: Option<String>,
    cancel_requested_at: Option<DateTime<Utc>>,
    /// The job's result. While a long job runs, its progress.
    result: Option<Value>,
    /// The last failure: class, message and, for operators, causes.
    error: Option<Value>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
}

impl JobView {
    pub(crate) fn of(row: JobRow, audience: Audience) -> Self {
        Self {
            id: row.id.0,
            tenant_id: row.tenant_id.0,
            args: kinds::shown(&row.kind, row.args),
            kind: row.kind,
            queue: row.queue,
            state: row.state.name().to_owned(),
            priority: row.priority,
            account_id: row.account_id,
            run_at: row.run_at,
            attempt: row.attempt,
            failures: row.failures,
            crashes: row.crashes,
            poison: row.poison,
            worker_id: row.worker_id,
            parent_id: row.parent_id,
            pending: row.pending,
            failed_children: row.failed_children,
            suspended_on: row.suspended_on,
            cancel_requested_at: row.cancel_requested_at,
            result: row.result,
            error: row.error.map(|error| audience.facts(error)),
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
        }
    }
}

/// An attempt that did not complete its job.
#[derive(Debug, Object)]
pub(crate) struct AttemptView {
    attempt: i32,
    /// `retry`, `later`, `park`, `fail`, `reconcile`, `lost` or `returned`.
    outcome: String,
    /// Class, message and, for operators, causes.
    error: Option<Value>,
    worker_id: Option<Uuid>,
    started_at: Option<DateTime<Utc>>,
    ended_at: DateTime<Utc>,
    /// The number of times that the attempt looked for a call. Looking again is part of the same
    /// attempt.
    looks: i32,
}

impl AttemptView {
    pub(super) fn of(row: AttemptRow, audience: Audience) -> Self {
        Self {
            attempt: row.attempt,
            outcome: row.outcome.name().to_owned(),
            error: row.error.map(|error| audience.facts(error)),
            worker_id: row.worker_id,
            started_at: row.started_at,
            ended_at: row.ended_at,
            looks: row.looks,
        }
    }
}

/// An effect: a call to the outside world that happens at most once.
#[derive(Debug, Object)]
pub(crate) struct EffectView {
    id: Uuid,
    /// The key that makes the effect happen at most once.
    key: String,
    operation: String,
    account_id: Option<Uuid>,
    /// `intended`, `sent`, `confirmed`, `unknown` or `failed`.
    state: String,
    attempt: i32,
    sent_at: Option<DateTime<Utc>>,
    /// The provider's id of the result.
    remote_id: Option<String>,
    /// Facts that were recorded on the way.
    facts: Value,
    /// The number of times that it was looked for since it was sent.
    looks: i32,
    /// The number of complete looks after the provider's time to show it, in which nothing matched.
    complete_looks: i32,
    /// Candidates at the provider that the last look found. Choose one to resolve the call as
    /// `happened`.
    candidates: Vec<CandidateView>,
}

/// An object at the provider that may be the result of a call.
#[derive(Debug, Object)]
struct CandidateView {
    /// The provider's id of it.
    remote_id: String,
    /// The address at which people see it.
    permalink: Option<String>,
}

impl EffectView {
    pub(super) fn of(row: EffectRow, audience: Audience) -> Self {
        Self {
            id: row.id,
            key: row.key,
            operation: row.operation,
            account_id: row.account_id,
            state: row.state.name().to_owned(),
            attempt: row.attempt,
            sent_at: row.sent_at,
            remote_id: row.remote_id,
            facts: audience.facts(row.facts),
            looks: row.looks,
            complete_looks: row.complete_looks,
            candidates: candidates(&row.evidence),
        }
    }
}

fn candidates(evidence: &Value) -> Vec<CandidateView> {
    let text = |candidate: &Value, name: &str| candidate[name].as_str().map(str::to_owned);
    let listed = evidence["candidates"].as_array().into_iter().flatten();
    listed
        .filter_map(|one| Some(CandidateView { remote_id: text(one, "id")?, permalink: text(one, "permalink") }))
        .collect()
}

/// The children of a job.
#[derive(Debug, Object)]
pub(crate) struct ChildrenView {
    /// The number of children by state, among the first 20,000.
    counts: BTreeMap<String, i64>,
    /// The newest hundred children. `GET /jobs?parent_id=` lists all.
    items: Vec<JobView>,
}

impl ChildrenView {
    pub(super) fn of(children: Children, audience: Audience) -> Self {
        Self {
            counts: children.counts.into_iter().map(|(state, count)| (state.name().to_owned(), count)).collect(),
            items: children.newest.into_iter().map(|job| JobView::of(job, audience)).collect(),
        }
    }
}

/// A job with its attempts, effects and children.
#[derive(Debug, Object)]
pub(crate) struct JobDetail {
    #[oai(flatten)]
    pub(super) job: JobView,
    pub(super) attempts: Vec<AttemptView>,
    pub(super) effects: Vec<EffectView>,
    pub(super) children: ChildrenView,
    /// The last progress that the job reported; absent if it reported none.
    pub(super) progress: Option<ProgressView>,
    /// The newest 200 lines of the log, oldest first. `GET /jobs/{id}/events` has all.
    pub(super) log: Vec<LogLineView>,
}

/// The progress of a job.
#[derive(Debug, Object)]
pub(crate) struct ProgressView {
    done: i64,
    total: i64,
    /// A message for people.
    message: String,
}

impl From<Progress> for ProgressView {
    fn from(progress: Progress) -> Self {
        Self { done: progress.done, total: progress.total, message: progress.message }
    }
}

/// A line of a job's log.
#[derive(Debug, Object)]
pub(crate) struct LogLineView {
    /// The number of the event in the job.
    seq: i32,
    attempt: i32,
    /// `info`, `warning` or `error`.
    level: String,
    message: String,
    created_at: DateTime<Utc>,
}

impl From<EventRow> for LogLineView {
    fn from(row: EventRow) -> Self {
        Self { seq: row.seq, attempt: row.attempt, level: row.level, message: row.message, created_at: row.created_at }
    }
}

impl Listed for JobView {
    const PAGE: &'static str = "JobPage";
    const DESCRIPTION: &'static str = "A page of jobs.";
    const ITEMS: Option<&'static str> =
        Some("The jobs. A page searches 20,000 jobs at most, so it may have few jobs or none and still a `next`.");
}
