//! Settling: writing what became of an attempt, guarded by the fence.

mod children;
mod complete;

use std::{cmp::Reverse, time::Duration};

use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

pub(super) use self::{
    children::{EndedChild, release_parents, wait_for_children},
    complete::{archive, complete, complete_free},
};
use super::{Attempt, Cause, Facts, Tx, parking};
use crate::ids::AccountId;

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
    /// The account that is parked for as long, with everything on it.
    pub(super) parks: Option<AccountId>,
}

/// Which of these attempts are still the latest of their jobs.
pub(super) async fn list_current(tx: &mut Tx, attempts: &[Attempt]) -> Result<Vec<Uuid>, sqlx::Error> {
    let (ids, numbers) = columns(attempts);
    sqlx::query_scalar!(
        "
        select current.id
        from unnest($1::uuid[], $2::int[]) as mine (id, attempt)
        cross join lateral (
          select id
          from jobs
          where id = mine.id and attempt = mine.attempt and state is not distinct from 'executing'
          offset 0
        ) current
        ",
        &ids,
        &numbers
    )
    .fetch_all(&mut **tx)
    .await
}

/// Settles an attempt that did not complete its job; false if it was no longer the latest, or if a request to cancel
/// came after `cancel_seen` was read.
pub(super) async fn apply_verdict(
    tx: &mut Tx,
    attempt: Attempt,
    verdict: &Verdict,
    facts: Option<&Facts>,
    cancel_seen: bool,
) -> Result<bool, sqlx::Error> {
    park(tx, attempt, verdict, facts).await?;
    let looks = note_look(tx, attempt, verdict, facts).await?;
    let Some(row) = sqlx::query!(
        r#"
        with mine as (
          select id, tenant_id, attempt, counted, worker_id, started_at,
            rerun_requested and $3 in ('cancelled', 'discarded') as again
          from jobs
          where id = $1 and attempt = $2 and state is not distinct from 'executing' and (cancel_requested_at is not null) = $8
          for update
        ),
        noted as (
          insert into job_attempts (tenant_id, job_id, attempt, outcome, error, worker_id, started_at, looks)
          select tenant_id, id, attempt, $9, $7, worker_id, started_at, $10
          from mine where $10::int is not null
        )
        update jobs
        set state = case when again then 'available' else $3 end,
          rerun_requested = rerun_requested and not again, suspended_on = $4,
          run_at = case
            when again then engine_stamp()
            when $5::interval is not null then engine_stamp() + $5
            when $3 = 'suspended' then null
            else run_at
          end,
          ended_at = case when $3 in ('cancelled', 'discarded') and not again then engine_stamp() end,
          failures = case when again then 0 else failures + $6 end,
          failed_children = case when not again then failed_children else 0 end,
          due_at = case when again then engine_stamp() else due_at end,
          cancel_requested_at = case when not again then cancel_requested_at end,
          result = case when not again then result end,
          counted = mine.counted or ($3 in ('cancelled', 'discarded') and not again),
          error = coalesce($7, error), worker_id = null
        from mine
        where jobs.id = mine.id
        returning parent_id,
          $3 in ('cancelled', 'discarded') and not again and not mine.counted as "counts!", ended_at is not null as "ended!"
        "#,
        attempt.job_id.0,
        attempt.number,
        verdict.state,
        verdict.suspended_on,
        verdict.after.map(interval),
        i32::from(verdict.is_failure),
        facts.map(Facts::to_json),
        cancel_seen,
        verdict.outcome,
        looks
    )
    .fetch_optional(&mut **tx)
    .await?
    else {
        return Ok(false);
    };
    if row.ended {
        end(tx, attempt, row.parent_id.filter(|_| row.counts)).await?;
    }
    Ok(true)
}

/// Looking for a call is one attempt, however often that takes: counts it on the last attempt that was noted, if that looked
/// too, and answers `None`. Else answers how many looks the attempt is to be noted with.
async fn note_look(
    tx: &mut Tx,
    attempt: Attempt,
    verdict: &Verdict,
    facts: Option<&Facts>,
) -> Result<Option<i32>, sqlx::Error> {
    if verdict.outcome != "reconcile" {
        return Ok(Some(0));
    }
    let looks = sqlx::query_scalar!(
        "select max(looks) from effects where tenant_id = $1 and job_id = $2 and state = 'sent'",
        attempt.tenant_id.0,
        attempt.job_id.0
    )
    .fetch_one(&mut **tx)
    .await?
    .unwrap_or(0);
    let noted = sqlx::query!(
        "
        update job_attempts noted
        set looks = $3, error = $4, worker_id = j.worker_id, ended_at = engine_stamp()
        from jobs j
        where j.id = $2 and noted.tenant_id = $1 and noted.job_id = $2 and noted.outcome = 'reconcile'
          and noted.attempt = (select max(attempt) from job_attempts last where last.tenant_id = $1 and last.job_id = $2)
        ",
        attempt.tenant_id.0,
        attempt.job_id.0,
        looks,
        facts.map(Facts::to_json)
    )
    .execute(&mut **tx)
    .await?;
    Ok((noted.rows_affected() == 0).then_some(looks))
}

/// Parks the account, if that is the verdict.
async fn park(tx: &mut Tx, attempt: Attempt, verdict: &Verdict, facts: Option<&Facts>) -> Result<(), sqlx::Error> {
    if let (Some(account_id), Some(after)) = (verdict.parks, verdict.after) {
        parking::park(tx, attempt.tenant_id, account_id, after, facts).await?;
    }
    Ok(())
}

/// Moves a job that ended without completing into its history, and off what its parent waits for.
async fn end(tx: &mut Tx, attempt: Attempt, parent: Option<Uuid>) -> Result<(), sqlx::Error> {
    archive(tx, &[attempt.job_id.0]).await?;
    let ended = parent.map(|parent| EndedChild { tenant_id: attempt.tenant_id, parent, failed: true });
    release_parents(tx, ended.as_slice()).await
}

/// Hands attempts back as if they had never been claimed, for a process that stops.
///
/// # Errors
/// The database refused; the rescue then finds them when the lease is over.
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
        Cause::plain("stopped", "The worker that ran it was stopped; that costs nothing.").facts().to_json()
    )
    .execute(&mut **tx)
    .await?;
    tx.wake_after_commit();
    Ok(())
}

fn columns<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> (Vec<Uuid>, Vec<i32>) {
    attempts.into_iter().map(|attempt| (attempt.job_id.0, attempt.number)).unzip()
}

/// Several rows of `jobs` are locked in this order everywhere: the deepest children first.
fn lock_order(attempt: &Attempt) -> (Reverse<i16>, Uuid) {
    (Reverse(attempt.depth), attempt.job_id.0)
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
