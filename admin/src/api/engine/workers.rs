//! The workers with the jobs that they run, and the engine's statistics.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jobs::{
    connections::store::{RefreshCounts, count_refreshes},
    engine::{
        Scope,
        stats::{self, Running, WorkerRow},
    },
};
use poem_openapi::{Object, OpenApi, payload::Json};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, engine::queues::CountView},
    auth::{Caller, Needs},
    state::AppState,
};

/// A running job.
#[derive(Debug, Object)]
struct RunningView {
    job_id: Uuid,
    tenant_id: Uuid,
    kind: String,
    queue: String,
    attempt: i32,
    started_at: Option<DateTime<Utc>>,
}

impl From<Running> for RunningView {
    fn from(row: Running) -> Self {
        Self {
            job_id: row.id.0,
            tenant_id: row.tenant_id.0,
            kind: row.kind,
            queue: row.queue,
            attempt: row.attempt,
            started_at: row.started_at,
        }
    }
}

/// A worker process.
#[derive(Debug, Object)]
struct WorkerView {
    id: Uuid,
    /// The host and the process number.
    name: String,
    /// True while the worker's lease is valid. A worker is listed for an hour after its lease ends.
    is_alive: bool,
    /// True if it stopped by itself, or goes on under another id. A worker that neither is alive
    /// nor has stopped died.
    has_stopped: bool,
    started_at: DateTime<Utc>,
    /// Seconds since the last heartbeat. A worker sends one every third of its lease.
    heartbeat_seconds: f64,
    /// The seconds for which a heartbeat keeps the lease.
    lease_seconds: f64,
    /// The number of slots in each queue.
    slots: BTreeMap<String, i64>,
    /// The kinds of jobs that it runs.
    kinds: Vec<String>,
    /// The jobs that it runs, the longest-running first.
    running: Vec<RunningView>,
}

impl WorkerView {
    fn of(row: WorkerRow, running: Vec<RunningView>) -> Self {
        Self {
            id: row.id,
            name: row.name,
            is_alive: row.is_alive,
            has_stopped: row.has_stopped,
            started_at: row.started_at,
            heartbeat_seconds: row.heartbeat_seconds,
            lease_seconds: row.lease_seconds,
            slots: row.queues.0,
            kinds: row.kinds,
            running,
        }
    }
}

/// The workers.
#[derive(Debug, Object)]
struct WorkerList {
    items: Vec<WorkerView>,
}

/// Jobs that ended within the last hour.
#[derive(Debug, Object)]
struct LastHour {
    completed: i64,
    cancelled: i64,
    discarded: i64,
    /// True if the counts are exact. At most 100,000 jobs are counted.
    is_exact: bool,
}

/// Refreshes of tokens within the last seven days. The aim is a rate above 0.95.
#[derive(Debug, Object)]
struct RefreshStats {
    succeeded: i64,
    failed: i64,
    /// The part that succeeded. Null if there was none.
    success_rate: Option<f64>,
}

impl From<RefreshCounts> for RefreshStats {
    fn from(RefreshCounts { succeeded, failed }: RefreshCounts) -> Self {
        let total = succeeded + failed;
        #[expect(clippy::cast_precision_loss, reason = "counts of a week are far below 2^52")]
        let success_rate = (total > 0).then(|| succeeded as f64 / total as f64);
        Self { succeeded, failed, success_rate }
    }
}

/// Statistics of the engine.
#[derive(Debug, Object)]
struct Stats {
    /// Unfinished jobs by queue and state. Counting stops at 10,000: for each queue in state
    /// available, for all queues together in states scheduled, retryable and suspended.
    queues: BTreeMap<String, BTreeMap<String, CountView>>,
    /// The jobs that ended within the last hour.
    last_hour: LastHour,
    /// The number of unfinished jobs, as the database's statistics estimate it.
    estimated_unfinished: i64,
    /// The number of finished jobs that are kept, estimated in the same way.
    estimated_finished: i64,
    /// The number of live workers.
    workers: usize,
    /// The refreshes of tokens within the last seven days.
    token_refreshes: RefreshStats,
}

pub(crate) struct WorkersApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Engine")]
impl WorkersApi {
    /// List the workers, live ones first, with the jobs that they run.
    ///
    /// For operators.
    #[oai(path = "/workers", method = "get", operation_id = "list_workers")]
    async fn list(&self, #[oai(scope = "Needs::EngineRead")] caller: Caller) -> Result<Json<WorkerList>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let workers = stats::list_workers(&mut tx).await?;
        let mut running: BTreeMap<Uuid, Vec<RunningView>> = BTreeMap::new();
        for job in stats::list_running(&mut tx).await? {
            running.entry(job.worker_id).or_default().push(job.into());
        }
        let items = workers.into_iter().map(|row| {
            let jobs = running.remove(&row.id).unwrap_or_default();
            WorkerView::of(row, jobs)
        });
        Ok(Json(WorkerList { items: items.collect() }))
    }

    /// Get the engine's statistics.
    ///
    /// Cheap even with millions of jobs. For operators.
    #[oai(path = "/stats", method = "get", operation_id = "get_stats")]
    async fn stats(&self, #[oai(scope = "Needs::EngineRead")] caller: Caller) -> Result<Json<Stats>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let mut queues: BTreeMap<String, BTreeMap<String, CountView>> = BTreeMap::new();
        for ((queue, state), count) in stats::depths(&mut tx).await? {
            queues.entry(queue).or_default().insert(state.name().to_owned(), count.into());
        }
        let finished = stats::finished_lately(&mut tx).await?;
        let sizes = stats::sizes(&mut tx).await?;
        let workers = stats::list_workers(&mut tx).await?.into_iter().filter(|worker| worker.is_alive).count();
        let token_refreshes = count_refreshes(&mut tx).await?.into();
        Ok(Json(Stats {
            token_refreshes,
            queues,
            last_hour: LastHour {
                completed: finished.completed,
                cancelled: finished.cancelled,
                discarded: finished.discarded,
                is_exact: finished.is_exact,
            },
            estimated_unfinished: sizes.jobs,
            estimated_finished: sizes.job_history,
            workers,
        }))
    }
}
