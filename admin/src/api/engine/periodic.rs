//! Work that the clock asks for. For operators only.

use chrono::{DateTime, Utc};
use jobs::{
    audit::Entry,
    engine::{
        Tx,
        periodic::{self, PeriodicRow},
    },
    ids::TenantId,
    kinds::PERIODIC,
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use serde_json::{Value, json};

use crate::{
    ApiError,
    api::{Tag, jobs::Accepted},
    auth::{Caller, Needs},
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
        let mut tx = self.state.db.system().await?;
        let rows = periodic::list_periodic(&mut tx).await?;
        tx.commit().await?;
        Ok(Json(PeriodicList { items: rows.into_iter().map(PeriodicView::from).collect() }))
    }

    /// Run it now, also while it is paused. Its ticks stay where they are; a job of it that has not ended is the answer.
    #[oai(path = "/periodic/:name/run", method = "post", operation_id = "run_periodic")]
    async fn run(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
    ) -> Result<Accepted, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.system().await?;
        let job = periodic::run_now(&mut tx, PERIODIC, &name).await?.ok_or_else(missing)?;
        let details = json!({ "job_id": job.id, "is_new": job.is_new });
        self.record(&mut tx, &caller, "periodic.run", &name, details).await?;
        tx.commit().await?;
        Ok(Accepted::job(job.id, job.is_new, 1))
    }

    /// Pause it: its ticks pass.
    #[oai(path = "/periodic/:name/pause", method = "post", operation_id = "pause_periodic")]
    async fn pause(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
    ) -> Result<Json<PeriodicView>, ApiError> {
        self.set_paused(&caller, &name, true).await
    }

    /// Have it go on. If ticks passed meanwhile, the latest of them is caught up on.
    #[oai(path = "/periodic/:name/resume", method = "post", operation_id = "resume_periodic")]
    async fn resume(
        &self,
        #[oai(scope = "Needs::EngineWrite")] caller: Caller,
        name: Path<String>,
    ) -> Result<Json<PeriodicView>, ApiError> {
        self.set_paused(&caller, &name, false).await
    }
}

impl PeriodicApi {
    async fn set_paused(&self, caller: &Caller, name: &str, paused: bool) -> Result<Json<PeriodicView>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.system().await?;
        let before = periodic::lock(&mut tx, name).await?.ok_or_else(missing)?;
        let after = periodic::set_paused(&mut tx, name, paused).await?.ok_or_else(missing)?;
        let action = if paused { "periodic.pause" } else { "periodic.resume" };
        let details = json!({ "before": { "paused_at": before.paused_at }, "after": { "paused_at": after.paused_at } });
        self.record(&mut tx, caller, action, name, details).await?;
        tx.commit().await?;
        Ok(Json(after.into()))
    }

    async fn record(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        action: &str,
        name: &str,
        details: Value,
    ) -> Result<(), sqlx::Error> {
        let entry = Entry {
            tenant_id: TenantId::SYSTEM,
            action: action.to_owned(),
            object_type: "periodic",
            object_id: name.to_owned(),
            details,
        };
        self.state.record(tx, caller.actor(), entry).await
    }
}

fn missing() -> ApiError {
    ApiError::not_found("periodic entry")
}
