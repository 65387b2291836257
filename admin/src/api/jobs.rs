//! Jobs: listing them, and enqueueing by hand. `act` and `bulk` have the actions of staff.

mod act;
mod bulk;
mod event_stream;
pub(crate) mod filter;
mod resolve;
pub(crate) mod views;

use chrono::{DateTime, Utc};
use jobs::{
    engine::{Enqueued, Kind, NewJob, Scope, events, ledger},
    ids::{JobId, TenantId},
    kinds,
    operations::{self, ByHand},
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use self::{act::ActionsApi, bulk::BulkApi, event_stream::JobEventsApi, resolve::ResolveApi};
use self::{
    filter::{FilterBody, JobState},
    views::{AttemptView, ChildrenView, EffectView, JobDetail, JobView, LogLineView, ProgressView},
};
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::{
        Body,
        paging::{Page, Paging, encode},
    },
    state::AppState,
};

/// The number of lines of its log that a job shows.
const SHOWN_LINES: i64 = 200;

/// A job to enqueue.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewJobBody {
    /// The job's tenant.
    tenant_id: Uuid,
    /// The kind of the job.
    #[oai(validator(max_length = 100))]
    kind: String,
    /// The payload, as the kind defines it.
    args: Value,
    /// The time at which the job is due; now by default.
    run_at: Option<DateTime<Utc>>,
    /// The number of copies, to try a deployment with `noop` jobs: 1 by default, at most 20,000.
    #[oai(validator(minimum(value = "1"), maximum(value = "20000")))]
    copies: Option<u32>,
}

/// The result of a request to enqueue a job.
#[derive(Debug, Object)]
pub(crate) struct EnqueuedView {
    /// The id of the new job, or of an unfinished job that does the same.
    job_id: Uuid,
    /// True if a job was made.
    is_new: bool,
    /// The number of jobs that were made.
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
    /// List jobs, finished or not, newest first.
    ///
    /// Indexes serve `tenant_id`, `parent_id`, `since`, `until`, `not_state=completed`, an id in
    /// `q`, and the states executing, retryable, suspended, cancelled and discarded. For the other
    /// filters, a page searches at most 20,000 jobs, newest first. Such a page may hold few jobs or
    /// none and still have a `next`, with which the search continues. Name a tenant or a time to
    /// make it faster.
    ///
    /// `q` finds parts of words. Without `tenant_id` and `parent_id`, an index of words finds
    /// finished jobs: there the longest word of `q` has to be a whole one, such as an id or a code.
    /// The same index serves `account_id`. A list that takes longer than ten seconds gets 503
    /// `took_too_long`.
    #[oai(path = "/jobs", method = "get", operation_id = "list_jobs")]
    #[expect(clippy::too_many_arguments, reason = "one a filter")]
    async fn list(
        &self,
        #[oai(scope = "Needs::JobsRead")] caller: Caller,
        tenant_id: Query<Option<Uuid>>,
        state: Query<Option<JobState>>,
        #[oai(validator(max_length = 100))] kind: Query<Option<String>>,
        #[oai(validator(max_length = 100))] queue: Query<Option<String>>,
        parent_id: Query<Option<Uuid>>,
        account_id: Query<Option<Uuid>>,
        /// A text in the kind, in the payload, or in the class or message of the last failure; or an
        /// id: the job's, the account's, or one in the payload. Case does not matter.
        #[oai(validator(min_length = 2, max_length = 200))]
        q: Query<Option<String>>,
        /// Only jobs made at this time or later.
        since: Query<Option<DateTime<Utc>>>,
        /// Only jobs made before this time.
        until: Query<Option<DateTime<Utc>>>,
        /// Only jobs that ended at this time or later.
        ended_since: Query<Option<DateTime<Utc>>>,
        /// Only jobs that ended before this time.
        ended_until: Query<Option<DateTime<Utc>>>,
        /// No jobs of this tenant. May be repeated, as the next three may.
        #[oai(default, validator(max_items = 20))]
        not_tenant_id: Query<Vec<Uuid>>,
        /// No jobs in this state.
        #[oai(default, validator(max_items = 20))]
        not_state: Query<Vec<JobState>>,
        /// No jobs of this kind.
        #[oai(default, validator(max_items = 20))]
        not_kind: Query<Vec<String>>,
        /// No jobs of this queue.
        #[oai(default, validator(max_items = 20))]
        not_queue: Query<Vec<String>>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<JobView>>, ApiError> {
        let paging = Paging::read(&after, &limit)?;
        let filter = FilterBody {
            tenant_id: tenant_id.0,
            state: state.0,
            kind: kind.0,
            queue: queue.0,
            parent_id: parent_id.0,
            account_id: account_id.0,
            q: q.0,
            since: since.0,
            until: until.0,
            ended_since: ended_since.0,
            ended_until: ended_until.0,
            not_tenant_id: not_tenant_id.0,
            not_state: not_state.0,
            not_kind: not_kind.0,
            not_queue: not_queue.0,
        };
        let mut filter = filter.checked(&caller)?;
        filter.after = paging.after;
        let mut tx = self.state.db.read(caller.scope_of(tenant_id.0)?).await?;
        let listed = ledger::list_jobs(&mut tx, kinds::KINDS, &filter, paging.limit).await?;
        let items = listed.jobs.into_iter().map(|job| JobView::of(job, caller.audience())).collect();
        Ok(Json(Page { items, next: listed.next.map(|place| encode(&place)) }))
    }

    /// Get a job.
    ///
    /// It comes with its effects, its children, the end of its log, and the attempts that did not
    /// complete it.
    #[oai(path = "/jobs/:id", method = "get", operation_id = "get_job")]
    async fn get(
        &self,
        #[oai(scope = "Needs::JobsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<JobDetail>, ApiError> {
        let mut tx = self.state.db.read(caller.scope()?).await?;
        let job = ledger::get_job(&mut tx, JobId(id.0)).await?.ok_or_else(|| ApiError::not_found("job"))?;
        let attempts = ledger::list_attempts(&mut tx, job.tenant_id, job.id).await?;
        let effects = ledger::list_effects(&mut tx, job.tenant_id, job.id).await?;
        let children = ledger::children(&mut tx, job.tenant_id, job.id).await?;
        let progress = events::get_progress(&mut tx, job.tenant_id, job.id).await?;
        let log = events::list_log(&mut tx, job.tenant_id, job.id, SHOWN_LINES).await?;
        let audience = caller.audience();
        Ok(Json(JobDetail {
            job: JobView::of(job, audience),
            attempts: attempts.into_iter().map(|attempt| AttemptView::of(attempt, audience)).collect(),
            effects: effects.into_iter().map(|effect| EffectView::of(effect, audience)).collect(),
            children: ChildrenView::of(children, audience),
            progress: progress.map(ProgressView::from),
            log: log.into_iter().map(LogLineView::from).collect(),
        }))
    }

    /// Enqueue a job of any kind.
    ///
    /// The caller also needs the permission for what the kind does: `publish_post` needs
    /// `posts:publish`.
    #[oai(path = "/jobs", method = "post", operation_id = "create_job")]
    async fn create(
        &self,
        #[oai(scope = "Needs::JobsWrite")] caller: Caller,
        body: Body<NewJobBody>,
    ) -> Result<Answered<Accepted>, ApiError> {
        let body = body.0;
        let tenant_id = caller.tenant(body.tenant_id)?;
        let (kind, job) = checked(&caller, tenant_id, &body.kind, body.args)?;
        if body.copies.is_some_and(|copies| copies > 1) && body.kind != "noop" {
            return Err(ApiError::unprocessable(
                ErrorCode::BadCopies,
                "copies is only for noop jobs, to try a deployment: leave it out.",
            ));
        }
        let copies = usize::try_from(body.copies.unwrap_or(1)).unwrap_or(1);
        let new = ByHand { tenant_id, kind, job, run_at: body.run_at, copies };
        let mut tx = self.state.db.write(Scope::Tenant(tenant_id), &caller).await?;
        let enqueued = operations::enqueue_by_hand(&mut tx, &self.state.services, caller.actor(), new).await?;
        tx.answer(Accepted::job(enqueued[0].id, enqueued[0].is_new, enqueued.len())).await
    }
}

fn checked(caller: &Caller, tenant_id: TenantId, kind: &str, args: Value) -> Result<(&'static Kind, NewJob), ApiError> {
    let Some(kind) = kinds::find(kind) else {
        let names: Vec<&str> =
            kinds::KINDS.iter().filter(|kind| kind.permission.is_some()).map(|kind| kind.name).collect();
        let detail = format!("There is no kind {kind:?}: use one of {}.", names.join(", "));
        return Err(ApiError::unprocessable(ErrorCode::UnknownKind, detail));
    };
    let Some(permission) = kind.permission else {
        let detail = format!("Jobs of kind {} are made by other requests only.", kind.name);
        return Err(ApiError::unprocessable(ErrorCode::BadKind, detail));
    };
    caller.require(tenant_id, permission)?;
    let job = NewJob::of_kind(tenant_id, kind, args).map_err(|error| {
        ApiError::unprocessable(ErrorCode::BadArgs, format!("args is not a payload of {}: {error}.", kind.name))
    })?;
    Ok((kind, job))
}
