//! Settling: writing what became of an attempt, guarded by the fence.

use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::{Attempt, Facts, Tx};
use crate::ids::{JobId, TenantId};

/// What an attempt that did not complete its job comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// The job's next state.
    pub(super) state: &'static str,
    /// How `job_attempts` calls it.
    pub(super) outcome: &'static str,
    /// When it is due again; `None`: not by itself.
    pub(super) after: Option<Duration>,
    /// What it waits for, when suspended.
    pub(super) suspended_on: Option<String>,
    /// Whether it counts against the retry policy.
    pub(super) is_failure: bool,
}

/// Locks those attempts whose rows nobody else holds and that are still the latest; the rest is for later or for nobody.
pub(super) async fn lock_free(tx: &mut Tx, attempts: &[Attempt]) -> Result<Vec<Uuid>, sqlx::Error> {
    let (ids, numbers) = columns(attempts);
    sqlx::query_scalar!(
        "
        select j.id
        from jobs j
        join unnest($1::uuid[], $2::int[]) as mine (id, attempt) on j.id = mine.id and j.attempt = mine.attempt
        where j.state is not distinct from 'executing'
        order by j.depth desc, j.id
        for update of j skip locked
        ",
        &ids,
        &numbers
    )
    .fetch_all(&mut **tx)
    .await
}

/// Which of these attempts are still the latest of their jobs.
pub(super) async fn list_current(tx: &mut Tx, attempts: &[Attempt]) -> Result<Vec<Uuid>, sqlx::Error> {
    let (ids, numbers) = columns(attempts);
    sqlx::query_scalar!(
        "
        select j.id
        from jobs j
        join unnest($1::uuid[], $2::int[]) as mine (id, attempt) on j.id = mine.id and j.attempt = mine.attempt
        where j.state is not distinct from 'executing'
        ",
        &ids,
        &numbers
    )
    .fetch_all(&mut **tx)
    .await
}

/// Completes attempts; answers those that were still the latest. A job with an open effect is suspended instead, one
/// that was asked for again becomes available.
pub(super) async fn complete(tx: &mut Tx, done: &[(Attempt, Value)]) -> Result<Vec<JobId>, sqlx::Error> {
    let attempts: Vec<Attempt> = done.iter().map(|(attempt, _)| *attempt).collect();
    let (ids, numbers) = columns(&attempts);
    let results: Vec<Value> = done.iter().map(|(_, result)| result.clone()).collect();
    let rows = sqlx::query!(
        r#"
        with mine as (
          select j.id, given.result, j.rerun_requested, j.counted, open.id is not null as is_open
          from jobs j
          join unnest($1::uuid[], $2::int[], $3::jsonb[]) as given (id, attempt, result)
            on j.id = given.id and j.attempt = given.attempt
          left join lateral (
            select id
            from effects e
            where e.tenant_id = j.tenant_id and e.job_id = j.id and e.state in ('sent', 'unknown')
            limit 1
          ) open on true
          where j.state is not distinct from 'executing'
          order by j.depth desc, j.id
          for update of j
        )
        update jobs
        set state = case when is_open then 'suspended' when mine.rerun_requested then 'available' else 'completed' end,
          suspended_on = case when is_open then 'reconcile' end,
          run_at = case
            when is_open then engine_stamp() + interval '30 seconds'
            when mine.rerun_requested then engine_stamp()
            else run_at
          end,
          ended_at = case when not is_open and not mine.rerun_requested then engine_stamp() end,
          rerun_requested = false,
          failures = case when mine.rerun_requested then 0 else failures end,
          counted = mine.counted or not (is_open or mine.rerun_requested),
          result = mine.result,
          worker_id = null
        from mine
        where jobs.id = mine.id
        returning jobs.id as "id: JobId", tenant_id as "tenant_id: TenantId", parent_id,
          state = 'completed' and not mine.counted as "counts!", state = 'available' as "again!"
        "#,
        &ids,
        &numbers,
        &results
    )
    .fetch_all(&mut **tx)
    .await?;
    let parents: Vec<(TenantId, Uuid)> = rows
        .iter()
        .filter(|row| row.counts)
        .filter_map(|row| row.parent_id.map(|parent| (row.tenant_id, parent)))
        .collect();
    release_parents(tx, &parents).await?;
    if rows.iter().any(|row| row.again) {
        tx.wake_after_commit();
    }
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Settles an attempt that did not complete its job; false if it was no longer the latest, or if a request to cancel
/// came after `cancel_seen` was read.
pub(super) async fn set_back(
    tx: &mut Tx,
    attempt: Attempt,
    verdict: &Verdict,
    facts: Option<&Facts>,
    cancel_seen: bool,
) -> Result<bool, sqlx::Error> {
    let settled = sqlx::query!(
        r#"
        with mine as (
          select id, tenant_id, attempt, counted, worker_id, started_at,
            rerun_requested and $3 in ('cancelled', 'discarded') as again
          from jobs
          where id = $1 and attempt = $2 and state is not distinct from 'executing' and (cancel_requested_at is not null) = $8
          for update
        ),
        noted as (
          insert into job_attempts (tenant_id, job_id, attempt, outcome, error, worker_id, started_at)
          select tenant_id, id, attempt, $9, $7, worker_id, started_at
          from mine
        )
        update jobs
        set state = case when again then 'available' else $3 end,
          rerun_requested = rerun_requested and not again,
          suspended_on = $4,
          run_at = case
            when again then engine_stamp()
            when $5::interval is not null then engine_stamp() + $5
            when $3 = 'suspended' then null
            else run_at
          end,
          ended_at = case when $3 in ('cancelled', 'discarded') and not again then engine_stamp() end,
          failures = case when again then 0 else failures + $6 end,
          due_at = case when again then engine_stamp() else due_at end,
          cancel_requested_at = case when not again then cancel_requested_at end,
          counted = mine.counted or ($3 in ('cancelled', 'discarded') and not again),
          error = coalesce($7, error),
          worker_id = null
        from mine
        where jobs.id = mine.id
        returning jobs.tenant_id as "tenant_id: TenantId", parent_id,
          $3 in ('cancelled', 'discarded') and not again and not mine.counted as "counts!"
        "#,
        attempt.job_id.0,
        attempt.number,
        verdict.state,
        verdict.suspended_on,
        verdict.after.map(interval),
        i32::from(verdict.is_failure),
        facts.map(Facts::to_json),
        cancel_seen,
        verdict.outcome
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = settled else {
        return Ok(false);
    };
    if let (true, Some(parent)) = (row.counts, row.parent_id) {
        release_parents(tx, &[(row.tenant_id, parent)]).await?;
    }
    Ok(true)
}

/// Suspends an attempt until its children ended; available at once if none is pending.
pub(super) async fn wait_for_children(tx: &mut Tx, attempt: Attempt) -> Result<bool, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        update jobs
        set state = case when pending = 0 then 'available' else 'suspended' end,
          suspended_on = case when pending = 0 then null else 'children' end,
          run_at = case when pending = 0 then engine_stamp() end,
          worker_id = null
        where id = $1 and attempt = $2 and state is not distinct from 'executing'
        returning state = 'available' as "is_due!"
        "#,
        attempt.job_id.0,
        attempt.number
    )
    .fetch_optional(&mut **tx)
    .await?;
    if row.as_ref().is_some_and(|row| row.is_due) {
        tx.wake_after_commit();
    }
    Ok(row.is_some())
}

/// Counts ended children off their parents; a parent that waited for the last of them becomes available.
pub(super) async fn release_parents(tx: &mut Tx, ended: &[(TenantId, Uuid)]) -> Result<(), sqlx::Error> {
    if ended.is_empty() {
        return Ok(());
    }
    let tenants: Vec<Uuid> = ended.iter().map(|(tenant_id, _)| tenant_id.0).collect();
    let parents: Vec<Uuid> = ended.iter().map(|(_, parent)| *parent).collect();
    let woken = sqlx::query_scalar!(
        r#"
        with ended as (
          select tenant_id, id, count(*)::int as count
          from unnest($1::uuid[], $2::uuid[]) as ended (tenant_id, id)
          group by tenant_id, id
        ),
        locked as (
          select parent.id, ended.count,
            parent.state = 'suspended' and parent.suspended_on = 'children' and parent.pending = ended.count as wakes
          from jobs parent
          join ended on parent.tenant_id = ended.tenant_id and parent.id = ended.id
          order by parent.depth desc, parent.id
          for update of parent
        )
        update jobs
        set pending = pending - locked.count,
          state = case when wakes then 'available' else state end,
          suspended_on = case when wakes then null else suspended_on end,
          run_at = case when wakes then engine_stamp() else run_at end
        from locked
        where jobs.id = locked.id
        returning locked.wakes as "wakes!"
        "#,
        &tenants,
        &parents
    )
    .fetch_all(&mut **tx)
    .await?;
    if woken.contains(&true) {
        tx.wake_after_commit();
    }
    Ok(())
}

/// Hands attempts back as if they had never been claimed, for a process that stops.
///
/// # Errors
/// The database refused; the rescue then finds them when the lease is over.
pub async fn hand_back(tx: &mut Tx, attempts: &[Attempt]) -> Result<(), sqlx::Error> {
    let (ids, numbers) = columns(attempts);
    sqlx::query!(
        "
        with returned as (
          select j.id, j.tenant_id, j.attempt, j.worker_id, j.started_at, effect.send_until
          from jobs j
          join unnest($1::uuid[], $2::int[]) as mine (id, attempt) on j.id = mine.id and j.attempt = mine.attempt
          left join lateral (
            select max(e.send_until) as send_until
            from effects e
            where e.tenant_id = j.tenant_id and e.job_id = j.id and e.state = 'sent'
          ) effect on true
          where j.state is not distinct from 'executing'
          order by j.depth desc, j.id
          for update of j
        ),
        noted as (
          insert into job_attempts (tenant_id, job_id, attempt, outcome, worker_id, started_at)
          select tenant_id, id, attempt, 'returned', worker_id, started_at
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
        &numbers
    )
    .execute(&mut **tx)
    .await?;
    tx.wake_after_commit();
    Ok(())
}

fn columns(attempts: &[Attempt]) -> (Vec<Uuid>, Vec<i32>) {
    attempts.iter().map(|attempt| (attempt.job_id.0, attempt.number)).unzip()
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
