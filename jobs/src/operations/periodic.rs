//! Runs and pauses periodic jobs.

use serde_json::json;

use crate::{
    audit::{self, Actor, Entry},
    engine::{
        EnqueueError, Enqueued, Tx,
        periodic::{self, PeriodicRow},
    },
    ids::TenantId,
    kinds::PERIODIC,
    services::Services,
};

/// Runs a periodic job now. Returns `None` if there is none of that name. Needs the system scope.
///
/// # Errors
/// [`EnqueueError`].
pub async fn run_periodic(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    name: &str,
) -> Result<Option<Enqueued>, EnqueueError> {
    let Some(job) = periodic::run_now(tx, PERIODIC, name).await? else {
        return Ok(None);
    };
    let details = json!({ "job_id": job.id, "is_new": job.is_new });
    let entry = Entry::new(TenantId::SYSTEM, "periodic.run", "periodic", name, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(job))
}

/// Pauses or resumes a periodic job. Returns `None` if there is none of that name. Needs the system
/// scope.
pub async fn pause_periodic(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    name: &str,
    paused: bool,
) -> Result<Option<PeriodicRow>, sqlx::Error> {
    let Some(before) = periodic::lock(tx, name).await? else {
        return Ok(None);
    };
    let after = periodic::set_paused(tx, name, paused).await?.ok_or(sqlx::Error::RowNotFound)?;
    let action = if paused { "periodic.pause" } else { "periodic.resume" };
    let details = json!({ "before": { "paused_at": before.paused_at }, "after": { "paused_at": after.paused_at } });
    let entry = Entry::new(TenantId::SYSTEM, action, "periodic", name, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(after))
}
