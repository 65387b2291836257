//! Queues: how much waits and for how long; pausing and limits.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use jobs::{
    engine::{
        Scope, Tx,
        queues::{self, LimitChanges, QueueRow},
        stats::{self, Count},
    },
    operations::{self, QueueChange},
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::MaybeUndefined};

use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::Body,
    state::AppState,
};

/// The highest limit.
pub(crate) const MAX_LIMIT: i32 = 100_000;

/// A count that stops at a bound.
#[derive(Debug, Clone, Copy, Object)]
pub(crate) struct CountView {
    pub(crate) count: i64,
    /// True if the count is exact; otherwise there are more.
    pub(crate) is_exact: bool,
}

impl From<Count> for CountView {
    fn from(count: Count) -> Self {
        Self { count: count.count, is_exact: count.is_exact }
    }
}

/// The limits of a queue, as operators set them.
#[derive(Debug, Object)]
struct QueueView {
    name: String,
    /// The time since which no job of it starts; absent while it is not paused.
    paused_at: Option<DateTime<Utc>>,
    /// The most jobs of it that may run or be about to; absent: as many as there are slots.
    max_running: Option<i32>,
    /// The same for each tenant.
    max_per_tenant: Option<i32>,
    /// The same for each account.
    max_per_account: Option<i32>,
    /// Starts a minute on one account, or of one tenant without an account.
    max_per_minute: Option<i32>,
    /// Seconds between the end of one job on an account and the start of the next.
    rest_seconds: Option<i32>,
    /// True if no tenant holds more than half of the slots, and the last tenth goes to tenants that
    /// run nothing.
    shares_slots: bool,
}

impl From<QueueRow> for QueueView {
    fn from(row: QueueRow) -> Self {
        Self {
            name: row.name,
            paused_at: row.paused_at,
            max_running: row.max_running,
            max_per_tenant: row.max_per_tenant,
            max_per_account: row.max_per_account,
            max_per_minute: row.max_per_minute,
            rest_seconds: row.rest_seconds,
            shares_slots: row.shares_slots,
        }
    }
}

/// A queue and its load.
#[derive(Debug, Object)]
struct QueueState {
    #[oai(flatten)]
    queue: QueueView,
    /// Unfinished jobs by state. Counts end at 10,000. Those of scheduled, retryable and suspended
    /// jobs end at 10,000 for all queues together.
    depth: BTreeMap<String, CountView>,
    /// The number of running jobs.
    running: i64,
    /// The number of slots of live workers.
    slots: i64,
    /// The time that the oldest due job has waited, made available or not; absent without due work.
    /// Only the first job of each tenant and account is read, of 5,000 at most.
    latency_seconds: Option<f64>,
}

/// All queues.
#[derive(Debug, Object)]
struct QueueList {
    items: Vec<QueueState>,
}

/// New limits. An absent limit stays, null lifts one.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct QueuePatch {
    /// The most jobs of it that may run or be about to.
    max_running: MaybeUndefined<i32>,
    /// The same for each tenant.
    max_per_tenant: MaybeUndefined<i32>,
    /// The same for each account.
    max_per_account: MaybeUndefined<i32>,
    /// Starts a minute on one account, or of one tenant without an account.
    max_per_minute: MaybeUndefined<i32>,
    /// Seconds between the end of one job on an account and the start of the next.
    rest_seconds: MaybeUndefined<i32>,
}

impl QueuePatch {
    fn checked(&self) -> Result<LimitChanges, ApiError> {
        let changes = LimitChanges {
            max_running: limit("max_running", self.max_running)?,
            max_per_tenant: limit("max_per_tenant", self.max_per_tenant)?,
            max_per_account: limit("max_per_account", self.max_per_account)?,
            max_per_minute: limit("max_per_minute", self.max_per_minute)?,
            rest_seconds: limit("rest_seconds", self.rest_seconds)?,
        };
        if changes == LimitChanges::default() {
            let detail =
                "Name max_running, max_per_tenant, max_per_account, max_per_minute or rest_seconds; null lifts one.";
            return Err(ApiError::unprocessable(ErrorCode::NoChange, detail));
        }
        Ok(changes)
    }
}

#[expect(clippy::option_option, reason = "a limit stays, is lifted, or is set")]
fn limit(name: &str, limit: MaybeUndefined<i32>) -> Result<Option<Option<i32>>, ApiError> {
    match limit {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Ok(Some(None)),
        MaybeUndefined::Value(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(Some(Some(limit))),
        MaybeUndefined::Value(_) => {
            let detail = format!("{name}: it should be 1 to {MAX_LIMIT}, or null for none; to stop a queue, pause it.");
            Err(ApiError::unprocessable(ErrorCode::BadLimit, detail))
        }
    }
}

pub(crate) struct QueuesApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Engine")]
impl QueuesApi {
    /// List the queues, with their limits, their load and their latency. For operators.
    #[oai(path = "/queues", method = "get", operation_id = "list_queues")]
    async fn list(&self, #[oai(scope = "Needs::EngineRead")] caller: Caller) -> Result<Json<QueueList>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let items = figures(&mut tx).await?.into_iter().map(QueueState::from).collect();
        Ok(Json(QueueList { items }))
    }

    /// Change the limits of a queue, from the next job on. For operators.
    #[oai(path = "/queues/:name", method = "patch", operation_id = "update_queue")]
    async fn update(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
        body: Body<QueuePatch>,
    ) -> Result<Answered<Json<QueueView>>, ApiError> {
        caller.operator()?;
        self.change(&caller, &name, QueueChange::Limit(body.0.checked()?)).await
    }

    /// Pause a queue: no job of it starts, and running jobs end by themselves. For operators.
    #[oai(path = "/queues/:name/pause", method = "post", operation_id = "pause_queue")]
    async fn pause(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
    ) -> Result<Answered<Json<QueueView>>, ApiError> {
        self.change(&caller, &name, QueueChange::Pause).await
    }

    /// Resume a paused queue. For operators.
    #[oai(path = "/queues/:name/resume", method = "post", operation_id = "resume_queue")]
    async fn resume(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
    ) -> Result<Answered<Json<QueueView>>, ApiError> {
        self.change(&caller, &name, QueueChange::Resume).await
    }
}

impl QueuesApi {
    async fn change(
        &self,
        caller: &Caller,
        name: &str,
        change: QueueChange,
    ) -> Result<Answered<Json<QueueView>>, ApiError> {
        caller.operator()?;
        if name.contains('\0') {
            return Err(ApiError::not_found("queue"));
        }
        let mut tx = self.state.db.write(Scope::System, caller).await?;
        let queue = operations::change_queue(&mut tx, &self.state.services, caller.actor(), name, change).await?;
        tx.answer(Json(queue.ok_or_else(|| ApiError::not_found("queue"))?.into())).await
    }
}

/// A queue's settings and how it fares.
pub(crate) struct QueueFigures {
    pub(crate) row: QueueRow,
    pub(crate) depth: BTreeMap<String, CountView>,
    pub(crate) slots: i64,
    pub(crate) latency_seconds: Option<f64>,
}

impl QueueFigures {
    /// Returns the number of its jobs that run.
    pub(crate) fn running(&self) -> i64 {
        self.depth.get("executing").map_or(0, |running| running.count)
    }
}

impl From<QueueFigures> for QueueState {
    fn from(figures: QueueFigures) -> Self {
        Self {
            running: figures.running(),
            depth: figures.depth,
            slots: figures.slots,
            latency_seconds: figures.latency_seconds,
            queue: figures.row.into(),
        }
    }
}

/// Returns the figures of all queues. Needs the system scope.
pub(crate) async fn figures(tx: &mut Tx) -> Result<Vec<QueueFigures>, ApiError> {
    let depths = stats::depths(tx).await?;
    let oldest_due = stats::oldest_due(tx).await?;
    let mut slots: BTreeMap<String, i64> = BTreeMap::new();
    for worker in stats::list_workers(tx).await?.into_iter().filter(|worker| worker.is_alive) {
        for (queue, count) in worker.queues.0 {
            *slots.entry(queue).or_default() += count;
        }
    }
    let figures = |row: QueueRow| QueueFigures {
        depth: depths
            .iter()
            .filter(|((name, _), _)| *name == row.name)
            .map(|((_, state), count)| (state.name().to_owned(), (*count).into()))
            .collect(),
        slots: slots.get(&row.name).copied().unwrap_or(0),
        latency_seconds: oldest_due.get(&row.name).map(Duration::as_secs_f64),
        row,
    };
    Ok(queues::list(tx).await?.into_iter().map(figures).collect())
}
