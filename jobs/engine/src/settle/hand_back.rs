//! Handing attempts back.

use super::{columns, lock_order};
use crate::{Attempt, Cause, CauseClass, Tx};

/// Hands attempts back as if they had never been claimed, for a process that stops. If this fails,
/// the rescue finds them when the lease has expired.
pub async fn hand_back(tx: &mut Tx, attempts: &[Attempt]) -> Result<(), sqlx::Error> {
    let mut attempts = attempts.to_vec();
    attempts.sort_by_key(lock_order);
    let (ids, numbers) = columns(&attempts);
    sqlx::query!(
        "
        with returned as (
          select held.*, effect.send_until
          from unnest($1::uuid[], $2::int[]) as mine (id, attempt)
          cross join lateral (
            select id, tenant_id, attempt, worker_id, started_at
            from jobs
            where id = mine.id and attempt = mine.attempt and state is not distinct from 'executing'
            for update
          ) held
          left join lateral (
            select max(e.send_until) as send_until
            from effects e
            where e.tenant_id = held.tenant_id and e.job_id = held.id and e.state = 'sent'
          ) effect on true
        ),
        noted as (
          insert into job_attempts (tenant_id, job_id, attempt, outcome, error, worker_id, started_at)
          select tenant_id, id, attempt, 'returned', $3, worker_id, started_at
          from returned
          on conflict do nothing
        )
        update jobs
        set state = case when send_until is null then 'available' else 'suspended' end,
          suspended_on = case when send_until is not null then 'reconcile' end,
          run_at = greatest(engine_stamp(), engine_stamp() + (send_until - clock_timestamp())),
          worker_id = null
        from returned
        where jobs.id = returned.id
        ",
        &ids,
        &numbers,
        Cause::plain(CauseClass::Stopped, "The worker that ran it was stopped; that costs nothing.").facts().to_json()
    )
    .execute(&mut **tx)
    .await?;
    tx.wake_after_commit();
    Ok(())
}
