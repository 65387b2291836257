//! Parents and children: suspending parents and waking them.

use uuid::Uuid;

use crate::{Attempt, OnFailed, Tx, ids::TenantId};

/// A child that ended for the first time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedChild {
    pub(crate) tenant_id: TenantId,
    pub(crate) parent: Uuid,
    /// True if it did not complete.
    pub(crate) failed: bool,
}

/// Suspends an attempt until its children have ended, or makes it available at once if none is
/// pending. Returns false if it is no longer the latest, or if it is to be cancelled.
pub(crate) async fn wait_for_children(tx: &mut Tx, attempt: Attempt, on_failed: OnFailed) -> Result<bool, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        update jobs
        set state = case when pending = 0 then 'available' else 'suspended' end,
          suspended_on = case when pending = 0 then null else 'children' end,
          run_at = case when pending = 0 then engine_stamp() end,
          fails_with_children = $3,
          worker_id = null
        where id = $1 and attempt = $2 and state is not distinct from 'executing' and cancel_requested_at is null
        returning state = 'available' as "is_due!"
        "#,
        attempt.job_id.0,
        attempt.number,
        on_failed == OnFailed::Fail
    )
    .fetch_optional(&mut **tx)
    .await?;
    if row.as_ref().is_some_and(|row| row.is_due) {
        tx.wake_after_commit();
    }
    Ok(row.is_some())
}

/// Takes ended children off the `pending` count of their parents. A parent that waited for the last
/// of them becomes available.
pub(crate) async fn release_parents(tx: &mut Tx, ended: &[EndedChild]) -> Result<(), sqlx::Error> {
    if ended.is_empty() {
        return Ok(());
    }
    let tenants: Vec<Uuid> = ended.iter().map(|child| child.tenant_id.0).collect();
    let parents: Vec<Uuid> = ended.iter().map(|child| child.parent).collect();
    let failed: Vec<bool> = ended.iter().map(|child| child.failed).collect();
    let woken = sqlx::query_scalar!(
        r#"
        with ended as (
          select tenant_id, id, count(*)::int as count, (count(*) filter (where failed))::int as failed
          from unnest($1::uuid[], $2::uuid[], $3::bool[]) as ended (tenant_id, id, failed)
          group by tenant_id, id
        ),
        locked as (
          select parent.id, ended.count, ended.failed,
            parent.state = 'suspended' and parent.suspended_on = 'children' and parent.pending = ended.count as wakes
          from jobs parent
          join ended on parent.tenant_id = ended.tenant_id and parent.id = ended.id
          order by parent.depth desc, parent.id
          for update of parent
        )
        update jobs
        set pending = pending - locked.count,
          failed_children = failed_children + locked.failed,
          state = case when wakes then 'available' else state end,
          suspended_on = case when wakes then null else suspended_on end,
          run_at = case when wakes then engine_stamp() else run_at end
        from locked
        where jobs.id = locked.id
        returning locked.wakes as "wakes!"
        "#,
        &tenants,
        &parents,
        &failed
    )
    .fetch_all(&mut **tx)
    .await?;
    if woken.contains(&true) {
        tx.wake_after_commit();
    }
    Ok(())
}
