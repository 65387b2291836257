//! Retention: deletes finished jobs with their rows, and old effects. Each batch is a transaction
//! of its own.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// The most rows that are read to find the oldest job to keep. A larger history is sampled.
const SAMPLE_ROWS: f32 = 200_000.0;

/// The retention settings.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// The days for which finished jobs are kept.
    pub days: i32,
    /// The days for which discarded jobs are kept.
    pub discarded_days: i32,
    /// The number of newest finished jobs that are kept. An estimate beyond 200,000.
    pub rows: i64,
}

/// The times up to which finished jobs are deleted.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    discarded: DateTime<Utc>,
    others: DateTime<Utc>,
}

/// Computes the current bounds.
pub async fn bounds(conn: &mut PgConnection, keep: &Keep) -> Result<Bounds, sqlx::Error> {
    let by_age = sqlx::query!(
        r#"
        select engine_now() - make_interval(days => $1) as "others!",
          engine_now() - make_interval(days => $2) as "discarded!",
          (select reltuples from pg_class where oid = 'job_history'::regclass) as "rows!"
        "#,
        keep.days,
        keep.discarded_days
    )
    .fetch_one(&mut *conn)
    .await?;
    let percent = (100.0 * SAMPLE_ROWS / by_age.rows.max(1.0)).min(100.0);
    let too_many = find_end_of_newest(conn, percent, keep.rows).await?;
    let newer = |time: DateTime<Utc>| too_many.map_or(time, |other| time.max(other));
    Ok(Bounds { discarded: newer(by_age.discarded), others: newer(by_age.others) })
}

/// Estimates from a sample the end of the newest job that is not among the newest `rows`.
async fn find_end_of_newest(
    conn: &mut PgConnection,
    percent: f32,
    rows: i64,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "
        select max(ended_at)
        from (
          select ended_at, row_number() over (order by ended_at desc) as place
          from job_history tablesample system ($1)
        ) sampled
        where place > $2::bigint * $1::real / 100
        ",
        percent,
        rows
    )
    .fetch_one(conn)
    .await
}

/// Lists finished jobs beyond the bounds.
pub async fn list_prunable(conn: &mut PgConnection, bounds: &Bounds, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "
        select id
        from job_history
        where ended_at <= greatest($1::timestamptz, $2)
          and ended_at <= case when state = 'discarded' then $1 else $2 end
        limit $3
        ",
        bounds.discarded,
        bounds.others,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Deletes finished jobs with their attempts and events, if they are still beyond the bounds. A job
/// that was retried meanwhile is not in the history any more. Returns the number of jobs.
pub async fn delete_history(conn: &mut PgConnection, bounds: &Bounds, ids: &[Uuid]) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with gone as (
          delete from job_history
          where id = any($3) and ended_at <= case when state = 'discarded' then $1::timestamptz else $2 end
          returning tenant_id, id
        ),
        attempts as (
          delete from job_attempts using gone
          where job_attempts.tenant_id = gone.tenant_id and job_attempts.job_id = gone.id
        ),
        events as (
          delete from job_events using gone
          where job_events.tenant_id = gone.tenant_id and job_events.job_id = gone.id
        )
        select count(*) as "count!" from gone
        "#,
        bounds.discarded,
        bounds.others,
        ids
    )
    .fetch_one(conn)
    .await
}

/// Deletes effects that are older than `days` and whose job is deleted. Returns their number.
/// Effects in `sent` or `unknown` stay for ever, and so do those whose job could run again.
pub async fn delete_effects(conn: &mut PgConnection, days: i32, limit: i64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "
        delete from effects
        where state in ('intended', 'confirmed', 'failed') and id in (
          select id
          from effects e
          where e.created_at < engine_now() - make_interval(days => $1)
            and e.state in ('intended', 'confirmed', 'failed')
            and not exists (select from jobs j where j.id = e.job_id)
            and not exists (select from job_history h where h.id = e.job_id)
          limit $2
        )
        ",
        days,
        limit
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes entries about taken results on remote accounts that are older than `days` and than every
/// open call. Returns their number. A call only looks at results that are newer than itself, so it
/// needs no older entry.
pub async fn delete_taken(conn: &mut PgConnection, days: i32, limit: i64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "
        delete from taken_remotes
        where (network, remote_account, remote_hash) in (
          select taken.network, taken.remote_account, taken.remote_hash
          from taken_remotes taken
          where taken.created_at < engine_now() - make_interval(days => $1)
            and not exists (
              select from effects e where e.state in ('sent', 'unknown') and e.sent_at < taken.created_at + interval '1 day'
            )
            and not exists (select from effects e where e.id = taken.effect_id)
          limit $2
        )
        ",
        days,
        limit
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
