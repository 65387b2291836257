//! Actions of staff on many jobs.

use std::collections::BTreeMap;

use jobs::{
    engine::{
        Scope,
        ledger::{Action, JobFilter},
    },
    ids::JobId,
    kinds,
    operations::{self, ActedOnMany, Order, Tally},
};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, payload::Json};
use serde_json::json;
use uuid::Uuid;

use super::filter::FilterBody;
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::Body,
    state::AppState,
};

/// An action on jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "kebab-case")]
enum BulkAction {
    Retry,
    Cancel,
    Discard,
    RunNow,
    Resolve,
}

/// An outcome that may be stated for many calls at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum BulkOutcome {
    DidNotHappen,
}

/// An action on many jobs: `ids` or a `filter`.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct BulkBody {
    /// The action: `retry`, `cancel`, `discard`, `run-now`, or `resolve`, which states that calls
    /// did not happen.
    action: BulkAction,
    /// Required with `resolve`, and only then: `did_not_happen`. A call that happened is resolved
    /// by itself, with its id.
    outcome: Option<BulkOutcome>,
    /// Required with `resolve`, and only then: true to make the calls now, false to never make
    /// them.
    send_again: Option<bool>,
    /// The ids of the jobs, at most 1,000.
    #[oai(validator(min_items = 1, max_items = 1000))]
    ids: Option<Vec<Uuid>>,
    /// A filter as in `GET /jobs`, with at least one condition. Jobs made after the request are not
    /// changed.
    filter: Option<FilterBody>,
    /// True to count the effects and change nothing.
    #[oai(default)]
    dry_run: bool,
}

impl BulkBody {
    fn action(&self) -> Result<Action, ApiError> {
        let plain = match self.action {
            BulkAction::Retry => Action::Retry,
            BulkAction::Cancel => Action::Cancel,
            BulkAction::Discard => Action::Discard,
            BulkAction::RunNow => Action::RunNow,
            BulkAction::Resolve => {
                return match (self.outcome, self.send_again) {
                    (Some(BulkOutcome::DidNotHappen), Some(true)) => Ok(Action::ResolveSendAgain),
                    (Some(BulkOutcome::DidNotHappen), Some(false)) => Ok(Action::ResolveGiveUp),
                    (None, _) => refuse(ErrorCode::BadOutcome, "outcome: it should be did_not_happen."),
                    (Some(BulkOutcome::DidNotHappen), None) => refuse(
                        ErrorCode::BadSendAgain,
                        "send_again should say whether to do it now (true) or never (false).",
                    ),
                };
            }
        };
        match (self.outcome, self.send_again) {
            (None, None) => Ok(plain),
            (Some(_), _) => refuse(ErrorCode::BadOutcome, "outcome is for resolve."),
            (None, Some(_)) => refuse(ErrorCode::BadSendAgain, "send_again is for resolve."),
        }
    }
}

fn refuse(code: ErrorCode, detail: &str) -> Result<Action, ApiError> {
    Err(ApiError::unprocessable(code, detail))
}

enum Which {
    Ids(Vec<JobId>),
    Filter(Box<JobFilter>),
}

/// The effects of a bulk action.
#[derive(Debug, Object)]
struct BulkView {
    /// True for a dry run: nothing was changed.
    dry_run: bool,
    /// The number of jobs that were named or matched.
    matched: u64,
    /// True if all matching jobs are counted; false if there may be more. A dry run counts 10,000.
    is_complete: bool,
    /// The number of changed jobs by their new state: `available`, `scheduled`, `cancelled`,
    /// `cancel_requested`, `discarded`.
    done: BTreeMap<String, u64>,
    /// The same for unfinished descendants of cancelled jobs.
    descendants: BTreeMap<String, u64>,
    /// The number of skipped jobs by reason: `wrong_state`, `outcome_unknown`, `too_late`,
    /// `live_twin`, `children_unfinished`, `too_many_children`, `state_changing`, `not_looked_for`,
    /// `not_found`.
    skipped: BTreeMap<String, u64>,
}

/// The job that carries out a large bulk action.
#[derive(Debug, Object)]
struct BulkJob {
    /// The job. `GET /jobs/{id}` has its `progress`, `GET /jobs/{id}/events` streams it.
    job_id: Uuid,
    /// The number of jobs that match.
    matched: u64,
    /// True if all matching jobs are counted; false if there may be more.
    is_complete: bool,
}

#[derive(ApiResponse)]
enum BulkResponse {
    /// The action is done, or its effects are counted.
    #[oai(status = 200)]
    Done(Json<BulkView>),
    /// A job carries out the action on more than 1,000 jobs in chunks. It reports its progress.
    #[oai(status = 202)]
    Accepted(
        Json<BulkJob>,
        /// The job's address.
        #[oai(header = "Location")]
        String,
    ),
}

impl BulkResponse {
    fn tally(tally: Tally, is_complete: bool, dry_run: bool) -> Self {
        let Tally { matched, done, descendants, skipped } = tally;
        Self::Done(Json(BulkView { dry_run, matched, is_complete, done, descendants, skipped }))
    }
}

pub(crate) struct BulkApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Jobs")]
impl BulkApi {
    /// Apply an action to many jobs.
    ///
    /// Up to 1,000 jobs are changed in one transaction; a separate job changes more. Jobs that
    /// the action does not fit are skipped and counted by reason. `resolve` applies only to calls
    /// that were looked for three times after the provider's time to show them, each time
    /// completely and without a match.
    #[oai(path = "/jobs/bulk", method = "post", operation_id = "act_on_jobs")]
    async fn act(
        &self,
        #[oai(scope = "Needs::JobsRetry")] caller: Caller,
        body: Body<BulkBody>,
    ) -> Result<Answered<BulkResponse>, ApiError> {
        let body = body.0;
        let (action, dry_run) = (body.action()?, body.dry_run);
        match which(body, &caller)? {
            Which::Ids(ids) => self.by_ids(&caller, action, &ids, dry_run).await,
            Which::Filter(filter) if dry_run => self.preview(&caller, action, &filter).await,
            Which::Filter(filter) => self.by_filter(&caller, action, *filter).await,
        }
    }
}

impl BulkApi {
    async fn by_ids(
        &self,
        caller: &Caller,
        action: Action,
        ids: &[JobId],
        dry_run: bool,
    ) -> Result<Answered<BulkResponse>, ApiError> {
        let mut tx = self.state.db.write(caller.scope()?, caller).await?;
        let tally = if dry_run {
            operations::preview_selection(&mut tx, kinds::KINDS, action, ids).await?
        } else {
            let (keyring, asked) = (&self.state.services.keyring, json!({ "ids": ids.len() }));
            let order = Order { keyring, actor: caller.actor(), action, asked: &asked, job_id: None };
            operations::act_on_selection(&mut tx, kinds::KINDS, &order, ids).await?
        };
        tx.answer(BulkResponse::tally(tally, true, dry_run)).await
    }

    async fn preview(
        &self,
        caller: &Caller,
        action: Action,
        filter: &JobFilter,
    ) -> Result<Answered<BulkResponse>, ApiError> {
        let mut tx = self.state.db.write(filter_scope(caller, filter)?, caller).await?;
        let selection = operations::select(&mut tx, filter, operations::MAX_COUNTED).await?;
        let tally = operations::preview_selection(&mut tx, kinds::KINDS, action, &selection.ids).await?;
        tx.answer(BulkResponse::tally(tally, selection.is_complete, true)).await
    }

    async fn by_filter(
        &self,
        caller: &Caller,
        action: Action,
        filter: JobFilter,
    ) -> Result<Answered<BulkResponse>, ApiError> {
        let services = &self.state.services;
        let mut tx = self.state.db.write(filter_scope(caller, &filter)?, caller).await?;
        let response = match operations::act_on_filter(&mut tx, services, caller.actor(), action, filter).await? {
            ActedOnMany::Done(tally) => BulkResponse::tally(tally, true, false),
            ActedOnMany::Enqueued { job, matched, is_complete } => {
                let view = BulkJob { job_id: job.id.0, matched, is_complete };
                BulkResponse::Accepted(Json(view), format!("/api/v1/jobs/{}", job.id))
            }
        };
        tx.answer(response).await
    }
}

fn filter_scope(caller: &Caller, filter: &JobFilter) -> Result<Scope, ApiError> {
    caller.scope_of(filter.tenant_id.map(|id| id.0))
}

fn which(body: BulkBody, caller: &Caller) -> Result<Which, ApiError> {
    match (body.ids, body.filter) {
        (Some(ids), None) => Ok(Which::Ids(ids.into_iter().map(JobId).collect())),
        (None, Some(filter)) if filter.is_empty() => {
            Err(ApiError::unprocessable(ErrorCode::BadFilter, "filter should have at least one condition."))
        }
        (None, Some(filter)) => Ok(Which::Filter(Box::new(filter.checked(caller)?))),
        (Some(_), Some(_)) | (None, None) => {
            Err(ApiError::unprocessable(ErrorCode::BadSelection, "Send either ids or a filter."))
        }
    }
}
