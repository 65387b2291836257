//! Deleting all jobs of a tenant that is being erased.

use uuid::Uuid;

use super::Tx;
use crate::ids::{JobId, TenantId};

/// The result of a purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// The number of deleted jobs.
    pub deleted: u64,
    /// The number of running jobs that were asked to stop.
    pub running: usize,
}

/// Deletes up to `limit` unfinished jobs of a tenant that do not run, and asks running ones to
/// stop.
///
/// The rows that belong to the jobs are not updated, since all rows of the tenant will be deleted.
/// A job with an open effect is deleted too: no attempt of it will follow, so the call is never
/// repeated.
pub async fn purge(tx: &mut Tx, tenant_id: TenantId, limit: i64) -> Result<Purged, sqlx::Error> {
    let deleted = sqlx::query!(
        "
        with waiting as materialized (
          select id
          from jobs
          where tenant_id = $1 and state <> 'executing'
          limit $2
          for update skip locked
        )
        delete from jobs
        using waiting
        where jobs.id = waiting.id
        ",
        tenant_id.0,
        limit
    )
    .execute(&mut **tx)
    .await?;
    let running = ask_to_stop(tx, tenant_id).await?;
    tx.cancel_after_commit(running.iter().map(|&id| JobId(id)));
    Ok(Purged { deleted: deleted.rows_affected(), running: running.len() })
}

/// Asks running jobs to stop. Also jobs that were not deleted because somebody else changes them
/// right now.
async fn ask_to_stop(tx: &mut Tx, tenant_id: TenantId) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "
        update jobs
        set cancel_requested_at = coalesce(cancel_requested_at, engine_stamp()), rerun_requested = false
        where id in (
          select id
          from jobs
          where tenant_id = $1 and state = 'executing'
          order by depth desc, id
          for update
        )
        returning id
        ",
        tenant_id.0
    )
    .fetch_all(&mut **tx)
    .await
}
