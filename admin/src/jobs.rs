//! Jobs: what there are, and what staff may do to them.

use ::jobs::{
    engine::{
        Enqueued, NewJob,
        ledger::{self, AttemptRow, EffectRow, JobFilter, JobRow},
    },
    ids::{JobId, TenantId},
    kinds,
};
use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{ApiError, Tag, auth::Caller, page, state::AppState};

/// A job.
#[derive(Debug, Object)]
pub(crate) struct JobView {
    id: Uuid,
    tenant_id: Uuid,
    kind: String,
    queue: String,
    /// The payload: ids and plain values.
    args: Value,
    /// scheduled, available, executing, retryable, suspended, completed, cancelled or discarded.
    state: String,
    /// When it is due; absent while something other than time ends its suspension.
    run_at: Option<DateTime<Utc>>,
    /// Attempts so far.
    attempt: i32,
    /// Attempts that failed.
    failures: i32,
    /// Attempts whose process died.
    crashes: i32,
    parent_id: Option<Uuid>,
    /// Children that have not ended.
    pending: i32,
    /// What a suspended job waits for.
    suspended_on: Option<String>,
    cancel_requested_at: Option<DateTime<Utc>>,
    result: Option<Value>,
    /// The last failure: class, message, causes.
    error: Option<Value>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
}

impl From<JobRow> for JobView {
    fn from(row: JobRow) -> Self {
        Self {
            id: row.id.0,
            tenant_id: row.tenant_id.0,
            kind: row.kind,
            queue: row.queue,
            args: row.args,
            state: row.state,
            run_at: row.run_at,
            attempt: row.attempt,
            failures: row.failures,
            crashes: row.crashes,
            parent_id: row.parent_id,
            pending: row.pending,
            suspended_on: row.suspended_on,
            cancel_requested_at: row.cancel_requested_at,
            result: row.result,
            error: row.error,
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
    error: Option<Value>,
    worker_id: Option<Uuid>,
    started_at: Option<DateTime<Utc>>,
    ended_at: DateTime<Utc>,
}

impl From<AttemptRow> for AttemptView {
    fn from(row: AttemptRow) -> Self {
        Self {
            attempt: row.attempt,
            outcome: row.outcome,
            error: row.error,
            worker_id: row.worker_id,
            started_at: row.started_at,
            ended_at: row.ended_at,
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
    /// intended, sent, confirmed, unknown or failed.
    state: String,
    attempt: i32,
    sent_at: Option<DateTime<Utc>>,
    /// What the provider calls it.
    remote_id: Option<String>,
    /// What was learned on the way.
    facts: Value,
}

impl From<EffectRow> for EffectView {
    fn from(row: EffectRow) -> Self {
        Self {
            id: row.id,
            key: row.key,
            operation: row.operation,
            state: row.state,
            attempt: row.attempt,
            sent_at: row.sent_at,
            remote_id: row.remote_id,
            facts: row.facts,
        }
    }
}

/// A job with everything that happened to it.
#[derive(Debug, Object)]
pub(crate) struct JobDetail {
    #[oai(flatten)]
    job: JobView,
    attempts: Vec<AttemptView>,
    effects: Vec<EffectView>,
}

/// A page of jobs.
#[derive(Debug, Object)]
pub(crate) struct JobPage {
    items: Vec<JobView>,
    /// Where the next page begins; absent on the last.
    next: Option<String>,
}

/// A job to enqueue.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewJobBody {
    /// Whose job it is.
    tenant_id: Uuid,
    /// The kind.
    #[oai(validator(max_length = 100))]
    kind: String,
    /// The payload of that kind.
    args: Value,
    /// When; at once if absent.
    run_at: Option<DateTime<Utc>>,
    /// So many of them, to try a deployment with `noop` jobs: 1 if absent, 20,000 at most.
    #[oai(validator(minimum(value = "1"), maximum(value = "20000")))]
    copies: Option<u32>,
}

/// What became of a request to enqueue.
#[derive(Debug, Object)]
pub(crate) struct EnqueuedView {
    /// The job: a new one, or the unfinished one that does the same.
    job_id: Uuid,
    /// Whether a job was made.
    is_new: bool,
    /// How many were made.
    copies: usize,
}

impl From<Enqueued> for EnqueuedView {
    fn from(job: Enqueued) -> Self {
        Self { job_id: job.id.0, is_new: job.is_new, copies: 1 }
    }
}

#[derive(ApiResponse)]
pub(crate) enum Accepted {
    /// A job does the work.
    #[oai(status = 202)]
    Accepted(
        Json<EnqueuedView>,
        /// The job's address.
        #[oai(header = "Location")]
        String,
    ),
}

impl Accepted {
    pub(crate) fn job(id: JobId, is_new: bool, copies: usize) -> Self {
        let location = format!("/api/v1/jobs/{id}");
        Self::Accepted(Json(EnqueuedView { job_id: id.0, is_new, copies }), location)
    }
}

pub(crate) struct JobsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Jobs")]
impl JobsApi {
    /// Jobs, newest first.
    #[oai(path = "/jobs", method = "get", operation_id = "list_jobs")]
    #[expect(clippy::too_many_arguments, reason = "one a filter")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Query<Option<Uuid>>,
        state: Query<Option<String>>,
        kind: Query<Option<String>>,
        queue: Query<Option<String>>,
        parent_id: Query<Option<Uuid>>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<JobPage>, ApiError> {
        let limit = page::limit(limit.0)?;
        let filter = JobFilter {
            tenant_id: tenant_id.0.map(TenantId),
            state: state.0,
            kind: kind.0,
            queue: queue.0,
            parent_id: parent_id.0.map(JobId),
            after: page::after(after.0.as_deref())?,
        };
        let mut tx = self.state.db.begin(caller.scope()).await?;
        let jobs = ledger::list_jobs(&mut tx, &filter, limit).await?;
        tx.commit().await?;
        let next = page::next(jobs.last().map(|job| (job.created_at, job.id.0)), jobs.len(), limit);
        Ok(Json(JobPage { items: jobs.into_iter().map(JobView::from).collect(), next }))
    }

    /// One job, with its attempts that did not complete it and its effects.
    #[oai(path = "/jobs/:id", method = "get", operation_id = "get_job")]
    async fn get(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<JobDetail>, ApiError> {
        let mut tx = self.state.db.begin(caller.scope()).await?;
        let job = ledger::get_job(&mut tx, JobId(id.0)).await?.ok_or_else(|| ApiError::not_found("job"))?;
        let attempts = ledger::list_attempts(&mut tx, job.tenant_id, job.id).await?;
        let effects = ledger::list_effects(&mut tx, job.tenant_id, job.id).await?;
        tx.commit().await?;
        Ok(Json(JobDetail {
            job: job.into(),
            attempts: attempts.into_iter().map(AttemptView::from).collect(),
            effects: effects.into_iter().map(EffectView::from).collect(),
        }))
    }

    /// Enqueue a job of any kind.
    #[oai(path = "/jobs", method = "post", operation_id = "create_job")]
    async fn create(&self, caller: Caller, body: Json<NewJobBody>) -> Result<Accepted, ApiError> {
        let body = body.0;
        let tenant_id = caller.tenant(body.tenant_id)?;
        let job = checked(tenant_id, &body.kind, body.args)?;
        let job = if let Some(time) = body.run_at { job.at(time) } else { job };
        if body.copies.is_some_and(|copies| copies > 1) && body.kind != "noop" {
            return Err(ApiError::unprocessable("bad_copies", "copies is for noop jobs, to try a deployment."));
        }
        let copies = usize::try_from(body.copies.unwrap_or(1)).unwrap_or(1);
        let mut tx = self.state.db.tenant(tenant_id).await?;
        let enqueued = tx.enqueue_all(vec![job; copies]).await?;
        tx.commit().await?;
        Ok(Accepted::job(enqueued[0].id, enqueued[0].is_new, enqueued.len()))
    }

    /// Run a job again now: one that ended without completing, waits for its next attempt or is suspended. Failures stay
    /// counted, so one that was given up gets one attempt.
    #[oai(path = "/jobs/:id/retry", method = "post", operation_id = "retry_job")]
    async fn retry(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<JobView>, ApiError> {
        let id = JobId(id.0);
        let mut tx = self.state.db.begin(caller.scope()).await?;
        ledger::retry(&mut tx, id).await?;
        let job = ledger::get_job(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
        tx.commit().await?;
        Ok(Json(job.into()))
    }

    /// Cancel a job that waits, or ask one that runs to stop.
    #[oai(path = "/jobs/:id/cancel", method = "post", operation_id = "cancel_job")]
    async fn cancel(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<JobView>, ApiError> {
        let id = JobId(id.0);
        let mut tx = self.state.db.begin(caller.scope()).await?;
        ledger::cancel(&mut tx, kinds::KINDS, id).await?;
        let job = ledger::get_job(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
        tx.commit().await?;
        Ok(Json(job.into()))
    }
}

fn checked(tenant_id: TenantId, kind: &str, args: Value) -> Result<NewJob, ApiError> {
    let Some(kind) = kinds::find(kind) else {
        let names: Vec<&str> = kinds::KINDS.iter().map(|kind| kind.name).collect();
        let detail = format!("There is no kind {kind:?}: use one of {}.", names.join(", "));
        return Err(ApiError::unprocessable("unknown_kind", detail));
    };
    NewJob::of_kind(tenant_id, kind, args).map_err(|error| {
        ApiError::unprocessable("bad_args", format!("args is not a payload of {}: {error}.", kind.name))
    })
}
