//! Rescue of the attempts of processes that died.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};

#[cfg(doc)]
use super::clock::DatabaseClock;
use super::{Cause, CauseClass, Db};

/// The most attempts that one call rescues.
const CHUNK: i64 = 500;

/// Makes orphaned attempts run again, and returns their number. An attempt is orphaned if its
/// process has no live lease, by the database's clock.
///
/// Each rescue counts a crash, and the wait before the next attempt grows with the crashes. If a
/// call of the attempt may have reached the provider, the job reads back first. Nothing is rescued
/// unless the database's clock stands within `now`, as [`DatabaseClock::expected`] says: after a
/// step every lease looks expired.
pub async fn rescue(db: &Db, now: RangeInclusive<DateTime<Utc>>) -> Result<u64, sqlx::Error> {
    let mut tx = db.system().await?;
    let rescued = sqlx::query!(
        "
        with orphans as (
          select j.id, j.tenant_id, j.attempt, j.worker_id, j.started_at, effect.send_until
          from jobs j
          left join lateral (
            select max(e.send_until) as send_until
            from effects e
            where e.tenant_id = j.tenant_id and e.job_id = j.id and e.state = 'sent'
          ) effect on true
          where j.state = 'executing'
            and not exists (
              select from workers w
              where w.id = j.worker_id and clock_timestamp() between w.renewed_at and w.expires_at
            )
            and clock_timestamp() between $1 and $4
          order by j.depth desc, j.id
          limit $2
          for update of j skip locked
        ),
        noted as (
          insert into job_attempts (tenant_id, job_id, attempt, outcome, error, worker_id, started_at)
          select tenant_id, id, attempt, 'lost', $3, worker_id, started_at
          from orphans
        )
        update jobs
        set crashes = crashes + 1,
          worker_id = null,
          state = case when send_until is null then 'retryable' else 'suspended' end,
          suspended_on = case when send_until is not null then 'reconcile' end,
          run_at = engine_stamp() + case
            when send_until is not null then greatest(send_until - clock_timestamp(), interval '0')
            else make_interval(secs => least(300, power(crashes, 3)) + random())
          end
        from orphans
        where jobs.id = orphans.id
        ",
        now.start(),
        CHUNK,
        Cause::plain(CauseClass::Lost, "The worker that ran it died or was cut off.").facts().to_json(),
        now.end()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "
        delete from workers
        where expires_at < clock_timestamp() - interval '1 hour'
          and not exists (select from jobs j where j.worker_id = workers.id and j.state = 'executing')
        "
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(rescued.rows_affected())
}
