//! Work that the clock asks for. For operators only.

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

/// An entry of the clock's list.
#[derive(Debug, Object)]
pub(crate) struct PeriodicView {
    name: String,
    /// Minute, hour, day, month, weekday; UTC.
    cron: String,
    /// The kind of its jobs.
    kind: String,
    /// The last tick that was taken: it made a job, found one waiting or running, or passed, as one is suspended. Before the
    /// first, when the entry was added.
    last_tick: DateTime<Utc>,
    /// Absent while it is paused.
    next_tick: Option<DateTime<Utc>>,
    /// Since when it is paused.
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

/// The clock's list.
#[derive(Debug, Object)]
pub(crate) struct PeriodicList {
    items: Vec<PeriodicView>,
}

pub(crate) struct PeriodicApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Engine")]
impl PeriodicApi {
    /// What runs by the clock, by name.
    #[oai(path = "/periodic", method = "get", operation_id = "list_periodic")]
    async fn list(&self, #[oai(scope = "Needs::EngineRead")] caller: Caller) -> Result<Json<PeriodicList>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let rows = periodic::list_periodic(&mut tx).await?;
        Ok(Json(PeriodicList { items: rows.into_iter().map(PeriodicView::from).collect() }))
    }

    /// Run it now, also while it is paused. Its ticks stay where they are; a job of it that has not ended is the answer.
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

    /// Pause it: its ticks pass.
    #[oai(path = "/periodic/:name/pause", method = "post", operation_id = "pause_periodic")]
    async fn pause(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
    ) -> Result<Answered<Json<PeriodicView>>, ApiError> {
        self.set_paused(&caller, &name, true).await
    }

    /// Have it go on. If ticks passed meanwhile, the latest of them is caught up on.
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
