//! Jobs as clients see them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jobs::{
    engine::{
        events::Progress,
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
    /// The payload: ids and plain values. `[redacted]` stands for what the kind keeps to itself, and for the whole payload
    /// of a kind that this version does not know.
    args: Value,
    /// scheduled, available, executing, retryable, suspended, completed, cancelled or discarded.
    state: String,
    /// 1 = before others, 2 = normal, 3 = when nothing else waits.
    priority: i16,
    /// The account that it acts on.
    account_id: Option<Uuid>,
    /// When it is due; absent while something other than time ends its suspension.
    run_at: Option<DateTime<Utc>>,
    /// Attempts so far.
    attempt: i32,
    /// Attempts that failed.
    failures: i32,
    /// Attempts whose process died.
    crashes: i32,
    /// Deaths of a process in which it ran alone.
    poison: i16,
    /// The process that runs it, or ran it last.
    worker_id: Option<Uuid>,
    parent_id: Option<Uuid>,
    /// Children that have not ended.
    pending: i32,
    /// Children that ended without completing.
    failed_children: i32,
    /// What a suspended job waits for: children, reconcile, `unknown_effect`, person, account:<id> or kind:<name>.
    suspended_on: Option<String>,
    cancel_requested_at: Option<DateTime<Utc>>,
    /// What it brought; of a long job that runs, how far it has come.
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
    /// retry, later, park, fail, reconcile, lost or returned.
    outcome: String,
    /// Class, message and, for operators, causes.
    error: Option<Value>,
    worker_id: Option<Uuid>,
    started_at: Option<DateTime<Utc>>,
    ended_at: DateTime<Utc>,
    /// How often it looked for a call: to look again is the same attempt.
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

/// A call that the outside world sees.
#[derive(Debug, Object)]
pub(crate) struct EffectView {
    id: Uuid,
    /// What happens at most once.
    key: String,
    operation: String,
    account_id: Option<Uuid>,
    /// intended, sent, confirmed, unknown or failed.
    state: String,
    attempt: i32,
    sent_at: Option<DateTime<Utc>>,
    /// What the provider calls it.
    remote_id: Option<String>,
    /// What was learned on the way.
    facts: Value,
    /// How often it was looked for since it was sent.
    looks: i32,
    /// Of these, after the provider's time to show it: read completely, with nothing there that may be it.
    complete_looks: i32,
    /// What the provider showed at the last look and may be it: choose one, and say that it happened.
    candidates: Vec<CandidateView>,
}

/// Something at the provider that may be a call's.
#[derive(Debug, Object)]
struct CandidateView {
    /// What the provider calls it.
    remote_id: String,
    /// Where people see it.
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
    /// How many there are by state, of the first 20,000.
    counts: BTreeMap<String, i64>,
    /// The newest hundred; the others are at `GET /jobs?parent_id=`.
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

/// A job with everything that happened to it.
#[derive(Debug, Object)]
pub(crate) struct JobDetail {
    #[oai(flatten)]
    pub(super) job: JobView,
    pub(super) attempts: Vec<AttemptView>,
    pub(super) effects: Vec<EffectView>,
    pub(super) children: ChildrenView,
    /// What it said last about how far it is; absent if it never did.
    pub(super) progress: Option<ProgressView>,
}

/// How far a job says that it is.
#[derive(Debug, Object)]
pub(crate) struct ProgressView {
    done: i64,
    total: i64,
    /// In words for people.
    message: String,
}

impl From<Progress> for ProgressView {
    fn from(progress: Progress) -> Self {
        Self { done: progress.done, total: progress.total, message: progress.message }
    }
}

impl Listed for JobView {
    const PAGE: &'static str = "JobPage";
    const DESCRIPTION: &'static str = "A page of jobs.";
    const ITEMS: Option<&'static str> =
        Some("May be fewer than asked for, even none, while there is a `next`: a page looks at 20,000 jobs at most.");
}
