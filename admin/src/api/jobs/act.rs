//! Actions of staff on one job.

use jobs::{engine::ledger::Action, ids::JobId, operations};
use poem_openapi::{OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use super::views::JobView;
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    database::Answered,
    state::AppState,
};

pub(crate) struct ActionsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Jobs")]
impl ActionsApi {
    /// Retry a job now.
    ///
    /// The job was cancelled or discarded, waits for its next attempt, or is suspended. Its
    /// failures stay counted, so a job that used up its attempts gets one more. A post that was
    /// cancelled before its time waits for that time again.
    #[oai(path = "/jobs/:id/retry", method = "post", operation_id = "retry_job")]
    async fn retry(
        &self,
        #[oai(scope = "Needs::JobsRetry")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Json<JobView>>, ApiError> {
        act(&self.state, &caller, Action::Retry, id.0).await
    }

    /// Cancel a job that waits, or ask a running job to stop.
    ///
    /// Its unfinished children are cancelled too, except those whose call may have happened: these
    /// end by themselves. After the job has sent a call, the response is 409 `too_late`.
    #[oai(path = "/jobs/:id/cancel", method = "post", operation_id = "cancel_job")]
    async fn cancel(
        &self,
        #[oai(scope = "Needs::JobsRetry")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Json<JobView>>, ApiError> {
        act(&self.state, &caller, Action::Cancel, id.0).await
    }

    /// Discard a job that is not running.
    ///
    /// The consequences are those of a failed last attempt; its children do not change.
    #[oai(path = "/jobs/:id/discard", method = "post", operation_id = "discard_job")]
    async fn discard(
        &self,
        #[oai(scope = "Needs::JobsRetry")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Json<JobView>>, ApiError> {
        act(&self.state, &caller, Action::Discard, id.0).await
    }

    /// Run a scheduled job now.
    #[oai(path = "/jobs/:id/run-now", method = "post", operation_id = "run_job_now")]
    async fn run_now(
        &self,
        #[oai(scope = "Needs::JobsRetry")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Json<JobView>>, ApiError> {
        act(&self.state, &caller, Action::RunNow, id.0).await
    }
}

async fn act(state: &AppState, caller: &Caller, action: Action, id: Uuid) -> Result<Answered<Json<JobView>>, ApiError> {
    let mut tx = state.db.write(caller.scope()?, caller).await?;
    let job = operations::act_on_job(&mut tx, &state.services, caller.actor(), action, JobId(id)).await?;
    tx.answer(Json(JobView::of(job, caller.audience()))).await
}
