//! Periodic work, which the clock enqueues. For operators only.

use chrono::{DateTime, Utc};
use jobs::{
    engine::{
        Scope,
        periodic::{self, PeriodicRow},
    },
    operations,
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

use crate::{
    ApiError,
    api::{Tag, jobs::Accepted},
    auth::{Caller, Needs},
    database::Answered,
    state::AppState,
};

/// An entry of periodic work.
#[derive(Debug, Object)]
pub(crate) struct PeriodicView {
    name: String,
    /// The cron expression in UTC: minute, hour, day, month, weekday.
    cron: String,
    /// The kind of its jobs.
    kind: String,
    /// The last tick that was handled: it made a job, found one unfinished, or was skipped during a
    /// pause. Before the first tick, the time when the entry was added.
    last_tick: DateTime<Utc>,
    /// The next tick; absent while the entry is paused.
    next_tick: Option<DateTime<Utc>>,
    /// The time at which it was paused.
    paused_at: Option<DateTime<Utc>>,
}

impl From<PeriodicRow> for PeriodicView {
    fn from(row: PeriodicRow) -> Self {
        let is_paused = row.paused_at.is_some();
        Self {
            next_tick: if is_paused { None } else { periodic::next_tick(&row.cron, row.now) },
            name: row.name,
            cron: row.cron,
            kind: row.kind,
            last_tick: row.last_tick,
            paused_at: row.paused_at,
        }
    }
}

/// The list of periodic work.
#[derive(Debug, Object)]
pub(crate) struct PeriodicList {
    items: Vec<PeriodicView>,
}

pub(crate) struct PeriodicApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Engine")]
impl PeriodicApi {
    /// List the periodic work, by name.
    #[oai(path = "/periodic", method = "get", operation_id = "list_periodic")]
    async fn list(&self, #[oai(scope = "Needs::EngineRead")] caller: Caller) -> Result<Json<PeriodicList>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let rows = periodic::list_periodic(&mut tx).await?;
        Ok(Json(PeriodicList { items: rows.into_iter().map(PeriodicView::from).collect() }))
    }

    /// Run periodic work now, even while it is paused.
    ///
    /// Its ticks do not change. If a job of the entry is unfinished, the response names that job.
    #[oai(path = "/periodic/:name/run", method = "post", operation_id = "run_periodic")]
    async fn run(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
    ) -> Result<Answered<Accepted>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        let job = operations::run_periodic(&mut tx, &self.state.services, caller.actor(), &name).await?;
        let job = job.ok_or_else(missing)?;
        tx.answer(Accepted::job(job.id, job.is_new, 1)).await
    }

    /// Pause periodic work; its ticks are skipped.
    #[oai(path = "/periodic/:name/pause", method = "post", operation_id = "pause_periodic")]
    async fn pause(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
    ) -> Result<Answered<Json<PeriodicView>>, ApiError> {
        self.set_paused(&caller, &name, true).await
    }

    /// Resume paused periodic work.
    ///
    /// If it missed ticks, it runs once for the latest of them.
    #[oai(path = "/periodic/:name/resume", method = "post", operation_id = "resume_periodic")]
    async fn resume(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
    ) -> Result<Answered<Json<PeriodicView>>, ApiError> {
        self.set_paused(&caller, &name, false).await
    }
}

impl PeriodicApi {
    async fn set_paused(
        &self,
        caller: &Caller,
        name: &str,
        paused: bool,
    ) -> Result<Answered<Json<PeriodicView>>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.write(Scope::System, caller).await?;
        let row = operations::pause_periodic(&mut tx, &self.state.services, caller.actor(), name, paused).await?;
        tx.answer(Json(row.ok_or_else(missing)?.into())).await
    }
}

fn missing() -> ApiError {
    ApiError::not_found("periodic entry")
}
