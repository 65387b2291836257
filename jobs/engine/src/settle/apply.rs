//! Writing a verdict: the job's next state, the noted attempt and the parked account.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::{EndedChild, Verdict, archive, release_parents};
use crate::{Attempt, AttemptOutcome, Facts, Tx, parking};

/// Settles an attempt that did not complete its job. Returns false if it was no longer the latest,
/// or if a request to cancel came after `cancel_seen` was read.
pub(crate) async fn apply_verdict(
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
        verdict.state.name(),
        verdict.suspended_on,
        verdict.after.map(interval),
        i32::from(verdict.is_failure),
        facts.map(Facts::to_json),
        cancel_seen,
        verdict.outcome.name(),
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

/// Counts a look. All looks for one call share one row in `job_attempts`.
///
/// If the last noted attempt looked too, its row counts this look, and the result is `None`.
/// Otherwise returns the number of looks to note with the attempt.
async fn note_look(
    tx: &mut Tx,
    attempt: Attempt,
    verdict: &Verdict,
    facts: Option<&Facts>,
) -> Result<Option<i32>, sqlx::Error> {
    if verdict.outcome != AttemptOutcome::Reconcile {
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

/// Parks the account if the verdict says so.
async fn park(tx: &mut Tx, attempt: Attempt, verdict: &Verdict, facts: Option<&Facts>) -> Result<(), sqlx::Error> {
    if let (Some(account_id), Some(after)) = (verdict.parks, verdict.after) {
        parking::park(tx, attempt.tenant_id, account_id, after, facts).await?;
    }
    Ok(())
}

/// Moves a job that ended without completing into the history, and counts it at its parent.
async fn end(tx: &mut Tx, attempt: Attempt, parent: Option<Uuid>) -> Result<(), sqlx::Error> {
    archive(tx, &[attempt.job_id.0]).await?;
    let ended = parent.map(|parent| EndedChild { tenant_id: attempt.tenant_id, parent, failed: true });
    release_parents(tx, ended.as_slice()).await
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
