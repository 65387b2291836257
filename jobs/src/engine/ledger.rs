//! Reading the ledger, and what staff may do to a job.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Kind, Parked, Setback, Tx, limits,
    settle::{self, EndedChild},
};
use crate::ids::{AccountId, JobId, TenantId};

/// A job as the ledger has it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct JobRow {
    pub id: JobId,
    pub tenant_id: TenantId,
    pub kind: String,
    pub queue: String,
    pub args: Value,
    pub state: String,
    pub run_at: Option<DateTime<Utc>>,
    pub attempt: i32,
    pub failures: i32,
    pub crashes: i32,
    pub parent_id: Option<Uuid>,
    pub pending: i32,
    pub suspended_on: Option<String>,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub result: Option<Value>,
    pub error: Option<Value>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which jobs to list; absent filters let everything pass.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Of one tenant.
    pub tenant_id: Option<TenantId>,
    /// In one state.
    pub state: Option<String>,
    /// Of one kind.
    pub kind: Option<String>,
    /// Of one queue.
    pub queue: Option<String>,
    /// Children of one job.
    pub parent_id: Option<JobId>,
    /// Older than this one, by creation and id.
    pub after: Option<(DateTime<Utc>, Uuid)>,
}

/// Lists jobs, newest first.
///
/// # Errors
/// The database refused.
pub async fn list_jobs(conn: &mut PgConnection, filter: &JobFilter, limit: i64) -> Result<Vec<JobRow>, sqlx::Error> {
    let (created_at, id) = filter.after.unzip();
    // Optional filters in one static statement: only a plan made for the given values uses the indexes.
    sqlx::query!("set local plan_cache_mode = force_custom_plan").execute(&mut *conn).await?;
    sqlx::query_as!(
        JobRow,
        r#"
        select id as "id!: JobId", tenant_id as "tenant_id!: TenantId", kind as "kind!", queue as "queue!", args as "args!",
          state as "state!", run_at, attempt as "attempt!", failures as "failures!", crashes as "crashes!", parent_id,
          pending as "pending!", suspended_on, cancel_requested_at, result, error, created_at as "created_at!", started_at,
          ended_at
        from job_ledger
        where ($1::uuid is null or tenant_id = $1)
          and ($2::text is null or state = $2)
          and ($3::text is null or kind = $3)
          and ($4::text is null or queue = $4)
          and ($5::uuid is null or parent_id = $5)
          and ($6::timestamptz is null or (created_at, id) < ($6, $7::uuid))
        order by created_at desc, id desc
        limit $8
        "#,
        filter.tenant_id.map(|id| id.0),
        filter.state,
        filter.kind,
        filter.queue,
        filter.parent_id.map(|id| id.0),
        created_at,
        id,
        limit
    )
    .fetch_all(conn)
    .await
}

/// One job.
///
/// # Errors
/// The database refused.
pub async fn get_job(conn: &mut PgConnection, id: JobId) -> Result<Option<JobRow>, sqlx::Error> {
    sqlx::query_as!(
        JobRow,
        r#"
        select id as "id!: JobId", tenant_id as "tenant_id!: TenantId", kind as "kind!", queue as "queue!", args as "args!",
          state as "state!", run_at, attempt as "attempt!", failures as "failures!", crashes as "crashes!", parent_id,
          pending as "pending!", suspended_on, cancel_requested_at, result, error, created_at as "created_at!", started_at,
          ended_at
        from job_ledger
        where id = $1
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// An attempt that did not complete its job.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct AttemptRow {
    pub attempt: i32,
    pub outcome: String,
    pub error: Option<Value>,
    pub worker_id: Option<Uuid>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: DateTime<Utc>,
}

/// The attempts of a job that did not complete it, the newest 100, oldest first.
///
/// # Errors
/// The database refused.
pub async fn list_attempts(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: JobId,
) -> Result<Vec<AttemptRow>, sqlx::Error> {
    let mut rows = sqlx::query_as!(
        AttemptRow,
        "
        select attempt, outcome, error, worker_id, started_at, ended_at
        from job_attempts
        where tenant_id = $1 and job_id = $2
        order by attempt desc
        limit 100
        ",
        tenant_id.0,
        id.0
    )
    .fetch_all(conn)
    .await?;
    rows.reverse();
    Ok(rows)
}

/// A call that the outside world sees.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct EffectRow {
    pub id: Uuid,
    pub key: String,
    pub operation: String,
    pub state: String,
    pub attempt: i32,
    pub sent_at: Option<DateTime<Utc>>,
    pub remote_id: Option<String>,
    pub facts: Value,
}

/// The effects of a job, oldest first.
///
/// # Errors
/// The database refused.
pub async fn list_effects(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: JobId,
) -> Result<Vec<EffectRow>, sqlx::Error> {
    sqlx::query_as!(
        EffectRow,
        "
        select id, key, operation, state, attempt, sent_at, remote_id, facts
        from effects
        where tenant_id = $1 and job_id = $2
        order by created_at, id
        limit 100
        ",
        tenant_id.0,
        id.0
    )
    .fetch_all(conn)
    .await
}

/// Why staff cannot do that to a job now.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such job.
    #[error("there is no such job")]
    Missing,
    /// A call of it may have happened; acting on it could repeat the call.
    #[error("the outcome of a call is not known yet")]
    OpenEffect,
    /// It is in a state in which that makes no sense.
    #[error("the job is {0}")]
    State(String),
    /// An unfinished job does the same already.
    #[error("an unfinished job has the same key")]
    LiveTwin,
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

async fn lock(tx: &mut Tx, id: JobId) -> Result<JobRow, Refused> {
    unarchive(tx, id).await?;
    sqlx::query_scalar!("select id from jobs where id = $1 for update", id.0).fetch_optional(&mut **tx).await?;
    get_job(tx, id).await?.ok_or(Refused::Missing)
}

/// Brings a job that ended without completing back from its history, still ended.
async fn unarchive(tx: &mut Tx, id: JobId) -> Result<(), Refused> {
    let back = sqlx::query!(
        "
        with back as (
          delete from job_history where id = $1 and state <> 'completed' returning *
        )
        insert into jobs (id, tenant_id, kind, queue, args, state, priority, account_id, run_at, due_at, attempt, failures,
          crashes, poison, unique_key, parent_id, depth, counted, cancel_requested_at, result, error, created_at,
          started_at, ended_at, pending)
        select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, due_at, attempt, failures,
          crashes, poison, unique_key, parent_id, depth, counted, cancel_requested_at, result, error, created_at,
          started_at, ended_at,
          (select count(*) from jobs child where child.tenant_id = back.tenant_id and child.parent_id = back.id and not counted)
        from back
        ",
        id.0
    )
    .execute(&mut **tx)
    .await;
    match back {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("jobs_unique_key") => Err(Refused::LiveTwin),
        Err(error) => Err(error.into()),
    }
}

async fn has_open_effect(tx: &mut Tx, job: &JobRow) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select from effects where tenant_id = $1 and job_id = $2 and state in ('sent', 'unknown')
        ) as "is_open!"
        "#,
        job.tenant_id.0,
        job.id.0
    )
    .fetch_one(&mut **tx)
    .await
}

/// Makes a job run again now: one that ended without completing, waits for its next attempt or is suspended.
///
/// # Errors
/// [`Refused`], with nothing changed.
pub async fn retry(tx: &mut Tx, id: JobId) -> Result<(), Refused> {
    let job = lock(tx, id).await?;
    if !matches!(job.state.as_str(), "discarded" | "cancelled" | "retryable" | "suspended") || job.pending > 0 {
        return Err(Refused::State(job.state));
    }
    if has_open_effect(tx, &job).await? {
        return Err(Refused::OpenEffect);
    }
    sqlx::query!(
        "
        update jobs
        set state = 'available', suspended_on = null, run_at = engine_stamp(), due_at = engine_stamp(),
          cancel_requested_at = null, ended_at = null, dispatched_at = null
        where id = $1
        ",
        id.0
    )
    .execute(&mut **tx)
    .await?;
    tx.wake_after_commit();
    Ok(())
}

/// Cancels a waiting job, or asks an executing one to stop; its own rows follow. Answers whether it has ended.
///
/// # Errors
/// [`Refused`], with nothing changed.
pub async fn cancel(tx: &mut Tx, kinds: &[Kind], id: JobId) -> Result<bool, Refused> {
    let job = get_job(tx, id).await?.ok_or(Refused::Missing)?;
    if matches!(job.state.as_str(), "completed" | "cancelled" | "discarded") {
        return Err(Refused::State(job.state));
    }
    if has_open_effect(tx, &job).await? {
        return Err(Refused::OpenEffect);
    }
    // The job's own rows first, as everywhere: a running attempt locks them in this order too.
    if job.state != "executing"
        && let Some(kind) = kinds.iter().find(|kind| kind.name == job.kind)
    {
        (kind.on_setback)(job.tenant_id, job.args.clone(), tx, &Setback::Cancelled).await?;
    }
    let row = sqlx::query!(
        r#"
        update jobs
        set cancel_requested_at = coalesce(jobs.cancel_requested_at, engine_stamp()),
          state = case when jobs.state = 'executing' then jobs.state else 'cancelled' end,
          suspended_on = null,
          ended_at = case when jobs.state = 'executing' then null else engine_stamp() end,
          counted = jobs.counted or jobs.state <> 'executing'
        from jobs as before
        where jobs.id = $1 and before.id = $1 and jobs.state = $2
        returning jobs.ended_at is not null as "ended!", not before.counted as "counts!", jobs.parent_id
        "#,
        id.0,
        job.state
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Refused::State("changing its state right now; try again".to_owned()))?;
    if row.ended {
        settle::archive(tx, &[id.0]).await?;
    } else {
        tx.cancel_after_commit(id);
    }
    if let (true, Some(parent)) = (row.ended && row.counts, row.parent_id) {
        settle::release_parents(tx, &[EndedChild { tenant_id: job.tenant_id, parent, failed: true }]).await?;
    }
    Ok(row.ended)
}

/// Ends the parking of a tenant's accounts and makes the jobs available that waited for it; answers how many.
///
/// # Errors
/// The database refused.
pub async fn resume_accounts(tx: &mut Tx, tenant_id: TenantId, accounts: &[AccountId]) -> Result<u64, sqlx::Error> {
    limits::unpark(tx, tenant_id, accounts).await?;
    let on: Vec<String> = accounts.iter().map(|&id| Parked::Account(id).name()).collect();
    let resumed = sqlx::query!(
        "
        update jobs
        set state = 'available', suspended_on = null, run_at = engine_stamp(), due_at = engine_stamp()
        where id in (
          select id
          from jobs
          where tenant_id = $1 and state = 'suspended' and suspended_on = any($2)
          order by depth desc, id
          for update
        )
        ",
        tenant_id.0,
        &on
    )
    .execute(&mut **tx)
    .await?;
    if resumed.rows_affected() > 0 {
        tx.wake_after_commit();
    }
    Ok(resumed.rows_affected())
}
