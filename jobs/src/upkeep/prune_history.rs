//! Prunes finished jobs and old effects.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    engine::{
        Done, Job, JobContext, JobError, Queue, Retry,
        retention::{self, Keep},
    },
    queues,
    services::Services,
};

/// The number of jobs that one search finds. Later searches have to pass the deleted rows again.
const FOUND_AT_ONCE: i64 = 20_000;

/// The number of jobs deleted in one transaction.
const DELETED_AT_ONCE: usize = 1_000;

/// The number of effects deleted in one transaction.
const EFFECTS_AT_ONCE: i64 = 1_000;

/// Prunes rows that are too old or too many.
///
/// Safe to repeat: rows that are gone are not found again. Only finished jobs are searched, and
/// each batch searches again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PruneHistory {}

impl Job for PruneHistory {
    type Services = Services;

    const KIND: &'static str = "prune_history";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::NEVER;
    const TIMEOUT: Duration = Duration::from_mins(10);

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let upkeep = cx.services().upkeep;
        let keep = Keep {
            days: upkeep.job_history_days.into(),
            discarded_days: upkeep.job_history_discarded_days.into(),
            rows: upkeep.job_history_rows.into(),
        };
        let jobs = prune_jobs(cx, &keep).await?;
        let effects = prune_effects(cx, upkeep.effect_history_days.into()).await?;
        let taken = prune_taken(cx, upkeep.effect_history_days.into()).await?;
        cx.begin().await?.complete(json!({ "jobs": jobs, "effects": effects, "taken": taken })).await
    }
}

async fn prune_jobs(cx: &JobContext, keep: &Keep) -> Result<i64, JobError> {
    let mut tx = cx.begin().await?;
    let bounds = retention::bounds(&mut tx, keep).await?;
    drop(tx);
    let mut pruned = 0;
    loop {
        let mut tx = cx.begin().await?;
        let found = retention::list_prunable(&mut tx, &bounds, FOUND_AT_ONCE).await?;
        drop(tx);
        if found.is_empty() {
            return Ok(pruned);
        }
        for batch in found.chunks(DELETED_AT_ONCE) {
            let mut tx = cx.begin().await?;
            pruned += retention::delete_history(&mut tx, &bounds, batch).await?;
            tx.commit().await?;
        }
    }
}

async fn prune_effects(cx: &JobContext, days: i32) -> Result<u64, JobError> {
    let mut pruned = 0;
    loop {
        let mut tx = cx.begin().await?;
        let deleted = retention::delete_effects(&mut tx, days, EFFECTS_AT_ONCE).await?;
        tx.commit().await?;
        pruned += deleted;
        if deleted == 0 {
            return Ok(pruned);
        }
    }
}

async fn prune_taken(cx: &JobContext, days: i32) -> Result<u64, JobError> {
    let mut pruned = 0;
    loop {
        let mut tx = cx.begin().await?;
        let deleted = retention::delete_taken(&mut tx, days, EFFECTS_AT_ONCE).await?;
        tx.commit().await?;
        pruned += deleted;
        if deleted == 0 {
            return Ok(pruned);
        }
    }
}

#[cfg(test)]
mod tests;
