//! Limits and pauses of queues.

use serde_json::json;

use crate::{
    audit::{self, Actor, Entry},
    engine::{
        Tx,
        queues::{self, LimitChanges, QueueRow},
    },
    ids::TenantId,
    services::Services,
};

/// A change of a queue.
#[derive(Debug, Clone, Copy)]
pub enum QueueChange {
    /// Other limits.
    Limit(LimitChanges),
    /// Nothing of it is given out.
    Pause,
    /// It goes on.
    Resume,
}

/// Changes a queue; `None`: there is none of that name. Needs the system scope.
pub async fn change_queue(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    name: &str,
    change: QueueChange,
) -> Result<Option<QueueRow>, sqlx::Error> {
    let Some(before) = queues::lock(tx, name).await? else {
        return Ok(None);
    };
    let (action, after) = match change {
        QueueChange::Limit(changes) => ("queue.limit", queues::set_limits(tx, name, changes).await?),
        QueueChange::Pause => ("queue.pause", queues::set_paused(tx, name, true).await?),
        QueueChange::Resume => ("queue.resume", queues::set_paused(tx, name, false).await?),
    };
    let settings = |row: &QueueRow| {
        json!({
            "paused_at": row.paused_at, "max_running": row.max_running, "max_per_tenant": row.max_per_tenant,
            "max_per_account": row.max_per_account, "max_per_minute": row.max_per_minute,
            "rest_seconds": row.rest_seconds,
        })
    };
    let details = json!({ "before": settings(&before), "after": settings(&after) });
    let entry = Entry::new(TenantId::SYSTEM, action, "queue", name, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(after))
}
