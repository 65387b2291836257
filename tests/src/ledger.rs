//! The SQL about jobs that tests across crates use.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jobs::engine::Db;
use sqlx::prelude::FromRow;
use uuid::Uuid;

/// Counts the jobs of a kind by state.
pub async fn count_by_state(db: &Db, kind: &str) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query_as("select state, count(*) from job_ledger where kind = $1 group by state order by state")
        .bind(kind)
        .fetch_all(&mut *tx)
        .await
}

/// A job as a test reads it.
#[derive(Debug, Clone, FromRow)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct JobLine {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub kind: String,
    pub state: String,
    pub suspended_on: Option<String>,
    pub attempt: i32,
    pub failures: i32,
    pub crashes: i32,
}

/// Lists every job of every tenant.
pub async fn list_jobs(db: &Db) -> Result<Vec<JobLine>, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query_as("select id, tenant_id, kind, state, suspended_on, attempt, failures, crashes from job_ledger")
        .fetch_all(&mut *tx)
        .await
}

/// Counts the jobs by kind and state that have neither ended nor wait for a person, without those
/// of the tenant `except`.
pub async fn list_open(db: &Db, except: Option<Uuid>) -> Result<Vec<(String, String, i64)>, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query_as(
        "
        select kind, coalesce(state || ' on ' || suspended_on, state), count(*)
        from job_ledger
        where state not in ('completed', 'cancelled', 'discarded')
          and suspended_on is distinct from 'unknown_effect'
          and tenant_id is distinct from $1
        group by 1, 2
        ",
    )
    .bind(except)
    .fetch_all(&mut *tx)
    .await
}

/// A post on an account, with its job.
#[derive(Debug, Clone, FromRow)]
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub struct PostLine {
    pub job_id: Uuid,
    pub caption: String,
    pub delivery: String,
    pub job: String,
    pub suspended_on: Option<String>,
}

/// Lists every post that has a job.
pub async fn list_posts(db: &Db) -> Result<Vec<PostLine>, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query_as(
        "
        select job.id as job_id, post.caption, delivery.state as delivery, job.state as job, job.suspended_on
        from post_history delivery
        join posts post on post.tenant_id = delivery.tenant_id and post.id = delivery.post_id
        join job_ledger job on job.tenant_id = delivery.tenant_id and job.id = delivery.job_id
        ",
    )
    .fetch_all(&mut *tx)
    .await
}

/// Returns the database's time as seconds since 1970, shifted like that of its jobs.
pub async fn now_seconds(db: &Db) -> Result<f64, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query_scalar("select extract(epoch from engine_stamp())::float8").fetch_one(&mut *tx).await
}

/// Returns the longest time between two consecutive ends of jobs, within the given period.
pub async fn longest_stall(db: &Db, from_seconds: f64, to_seconds: f64) -> Result<Duration, sqlx::Error> {
    let mut tx = db.system().await?;
    let seconds: Option<f64> = sqlx::query_scalar(
        "
        select extract(epoch from max(gap))::float8
        from (
          select moment - lag(moment) over (order by moment) as gap
          from (
            select ended_at as moment
            from job_ledger
            where ended_at between to_timestamp($1) and to_timestamp($2)
            union all
            values (to_timestamp($1)), (to_timestamp($2))
          ) moments
        ) gaps
        ",
    )
    .bind(from_seconds)
    .bind(to_seconds)
    .fetch_one(&mut *tx)
    .await?;
    Ok(Duration::from_secs_f64(seconds.unwrap_or_default()))
}

/// Counts the jobs of a tenant, due at `due`, that ended before the job `id`.
pub async fn count_ended_before(db: &Db, id: Uuid, tenant: Uuid, due: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query_scalar(
        "
        select count(*)
        from job_ledger other
        where other.tenant_id = $2
          and other.run_at = $3
          and other.ended_at < (select ended_at from job_ledger where id = $1)
        ",
    )
    .bind(id)
    .bind(tenant)
    .bind(due)
    .fetch_one(&mut *tx)
    .await
}

/// Returns the largest number of ended jobs of a kind that ran at the same moment.
pub async fn most_at_once(db: &Db, kind: &str) -> Result<i64, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query_scalar(
        "
        select max(running)
        from (
          select count(*) as running
          from job_ledger job
          join job_ledger other
            on other.kind = $1 and other.started_at <= job.started_at and other.ended_at > job.started_at
          where job.kind = $1
          group by job.id
        ) moments
        ",
    )
    .bind(kind)
    .fetch_one(&mut *tx)
    .await
}

/// Returns the process id of the worker that leads.
pub async fn leader(db: &Db) -> Result<Option<u32>, sqlx::Error> {
    let mut tx = db.system().await?;
    let name: Option<String> = sqlx::query_scalar(
        "
        select worker.name
        from leadership
        join workers worker on worker.id = leadership.holder
        where leadership.expires_at > clock_timestamp() and worker.expires_at > clock_timestamp()
        ",
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(name.and_then(|name| name.rsplit(':').next().and_then(|id| id.parse().ok())))
}

/// Counts the attempts of all jobs with this `outcome`: lost, returned, retry, ...
pub async fn count_attempts(db: &Db, outcome: &str) -> Result<i64, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query_scalar("select count(*) from job_attempts where outcome = $1").bind(outcome).fetch_one(&mut *tx).await
}

/// Counts the jobs about posts that run, or are due.
pub async fn count_due(db: &Db) -> Result<i64, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query_scalar(
        "
        select count(*)
        from job_ledger
        where kind in ('publish_post', 'exchange_oauth_code')
          and (state in ('available', 'executing')
            or (state in ('scheduled', 'retryable', 'suspended') and run_at <= engine_now()))
        ",
    )
    .fetch_one(&mut *tx)
    .await
}

/// Returns the time until the next scheduled post is due.
pub async fn next_due(db: &Db) -> Result<Option<Duration>, sqlx::Error> {
    let mut tx = db.system().await?;
    let seconds: Option<f64> = sqlx::query_scalar(
        "
        select extract(epoch from min(run_at) - engine_now())::float8
        from job_ledger
        where kind = 'publish_post' and state in ('scheduled', 'retryable', 'suspended') and run_at < 'infinity'
        ",
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}
