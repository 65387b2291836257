//! Completing attempts, and moving finished jobs into the history.

use serde_json::Value;
use uuid::Uuid;

use super::{EndedChild, columns, lock_order, release_parents};
use crate::{
    Attempt, Tx,
    ids::{JobId, TenantId},
};

/// The outcome of one completed attempt.
struct Completed {
    id: JobId,
    tenant_id: TenantId,
    parent_id: Option<Uuid>,
    /// True if its parent has not counted its end yet.
    counts: bool,
    /// True if it is available again.
    again: bool,
}

/// The statement that completes attempts. `$locked` says what to do about rows that somebody else
/// holds.
///
/// Finished jobs move to the history. A job with an open effect is suspended instead, and one that
/// was enqueued again meanwhile becomes available. Rows are looked up and locked one by one in the
/// order given: with a plain join the planner compares every row with every other.
macro_rules! complete {
    ($locked:literal, $ids:expr, $numbers:expr, $results:expr) => {
        sqlx::query_as!(
            Completed,
            r#"
            with mine as (
              select held.id, given.result, held.rerun_requested,
                exists (
                  select from effects e
                  where e.tenant_id = held.tenant_id and e.job_id = held.id and e.state in ('sent', 'unknown')
                ) as is_open
              from unnest($1::uuid[], $2::int[], $3::jsonb[]) as given (id, attempt, result)
              cross join lateral (
                select id, tenant_id, rerun_requested
                from jobs
                where id = given.id and attempt = given.attempt and state is not distinct from 'executing'
                for update "# + $locked + r#"
              ) held
            ),
            ended as (
              delete from jobs
              using mine
              where jobs.id = mine.id and not mine.is_open and not mine.rerun_requested
              returning jobs.*, mine.result as answer
            ),
            kept as (
              insert into job_history (id, tenant_id, kind, queue, args, state, priority, account_id, own_lane, run_at, due_at,
                attempt, failures, crashes, poison, worker_id, unique_key, parent_id, depth, failed_children, counted,
                cancel_requested_at, result, error, created_at, started_at, ended_at)
              select id, tenant_id, kind, queue, args, 'completed', priority, account_id, own_lane, run_at, due_at,
                attempt, failures, crashes, poison, worker_id, unique_key, parent_id, depth, failed_children, true,
                cancel_requested_at, answer, error, created_at, started_at, (select engine_stamp())
              from ended
            ),
            unfinished as (
              update jobs
              set state = case when mine.is_open then 'suspended' else 'available' end,
                suspended_on = case when mine.is_open then 'reconcile' end,
                run_at = engine_stamp() + case when mine.is_open then interval '30 seconds' else interval '0' end,
                rerun_requested = false,
                failures = case when mine.rerun_requested then 0 else failures end,
                failed_children = case when mine.is_open then failed_children else 0 end,
                due_at = case when mine.is_open then due_at else engine_stamp() end,
                cancel_requested_at = case when mine.is_open then cancel_requested_at end,
                result = case when mine.is_open then mine.result end,
                worker_id = null
              from mine
              where jobs.id = mine.id and (mine.is_open or mine.rerun_requested)
              returning jobs.id, jobs.tenant_id, state
            )
            select id as "id!: JobId", tenant_id as "tenant_id!: TenantId", parent_id, not counted as "counts!",
              false as "again!"
            from ended
            union all
            select id, tenant_id, null, false, state = 'available'
            from unfinished
            "#,
            $ids,
            $numbers,
            $results
        )
    };
}

/// Completes attempts. Returns the jobs whose attempt was still the latest.
pub(crate) async fn complete(tx: &mut Tx, done: &[(Attempt, Value)]) -> Result<Vec<JobId>, sqlx::Error> {
    let (ids, numbers, results) = given(done);
    let rows = complete!("", &ids, &numbers, &results).fetch_all(&mut **tx).await?;
    follow_up(tx, rows).await
}

/// Completes attempts, but skips rows that somebody else holds right now.
pub(crate) async fn complete_free(tx: &mut Tx, done: &[(Attempt, Value)]) -> Result<Vec<JobId>, sqlx::Error> {
    let (ids, numbers, results) = given(done);
    let rows = complete!("skip locked", &ids, &numbers, &results).fetch_all(&mut **tx).await?;
    follow_up(tx, rows).await
}

fn given(done: &[(Attempt, Value)]) -> (Vec<Uuid>, Vec<i32>, Vec<Value>) {
    let mut done: Vec<&(Attempt, Value)> = done.iter().collect();
    done.sort_by_key(|(attempt, _)| lock_order(attempt));
    let (ids, numbers) = columns(done.iter().map(|(attempt, _)| attempt));
    (ids, numbers, done.iter().map(|(_, result)| result.clone()).collect())
}

async fn follow_up(tx: &mut Tx, rows: Vec<Completed>) -> Result<Vec<JobId>, sqlx::Error> {
    let ended: Vec<EndedChild> = rows
        .iter()
        .filter(|row| row.counts)
        .filter_map(|row| row.parent_id.map(|parent| EndedChild { tenant_id: row.tenant_id, parent, failed: false }))
        .collect();
    release_parents(tx, &ended).await?;
    if rows.iter().any(|row| row.again) {
        tx.wake_after_commit();
    }
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Moves jobs that ended without completing into the history.
pub(crate) async fn archive(tx: &mut Tx, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        with ended as (
          delete from jobs where id = any($1) and ended_at is not null returning *
        )
        insert into job_history (id, tenant_id, kind, queue, args, state, priority, account_id, own_lane, run_at, due_at,
          attempt, failures, crashes, poison, worker_id, unique_key, parent_id, depth, failed_children, counted,
          cancel_requested_at, result, error, created_at, started_at, ended_at)
        select id, tenant_id, kind, queue, args, state, priority, account_id, own_lane, run_at, due_at,
          attempt, failures, crashes, poison, worker_id, unique_key, parent_id, depth, failed_children, counted,
          cancel_requested_at, result, error, created_at, started_at, ended_at
        from ended
        ",
        ids
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
