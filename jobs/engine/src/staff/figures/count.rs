//! Counting the figures, and deleting old ones.

use chrono::{DateTime, Utc};

use super::{HOUR_DAYS, MINUTE_DAYS};
use crate::Tx;

/// The minutes that are counted again: what ends in a minute may be committed in the next.
const AGAIN_MINUTES: i32 = 2;

/// The most minutes that are counted after a pause.
const MAX_MINUTES: i32 = 120;

/// Returns the time from which minutes have to be counted, and the end of the last whole minute.
pub async fn find_uncounted(tx: &mut Tx) -> Result<(DateTime<Utc>, DateTime<Utc>), sqlx::Error> {
    let span = sqlx::query!(
        r#"
        select
          greatest(
            until - make_interval(mins => $2),
            coalesce(
              (select max(starts_at) from job_figures where resolution = 'minute') - make_interval(mins => $1),
              until - make_interval(mins => $2)
            )
          ) as "since!",
          until as "until!"
        from (select date_trunc('minute', engine_now()) as until) now
        "#,
        AGAIN_MINUTES,
        MAX_MINUTES
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((span.since, span.until))
}

/// Counts the minutes from `since` to `until`, and replaces what was counted before. Both are whole
/// minutes.
pub async fn count_minutes(tx: &mut Tx, since: DateTime<Utc>, until: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let counted = sqlx::query!(
        r#"
        with ended as (
          select date_trunc('minute', ended_at) as starts_at, queue, kind, state,
            ceil(4 / ln(2.0::float8) * ln(greatest(1, extract(epoch from started_at - coalesce(run_at, due_at)) * 1000)::float8))::int
              as step
          from job_history
          where ended_at >= $1 and ended_at < $2
        ),
        failed as (
          select date_trunc('minute', a.ended_at) as starts_at, j.queue, j.kind, count(*) as failures
          from job_attempts a
          cross join lateral (
            select queue, kind from job_ledger where id = a.job_id offset 0
          ) j
          where a.ended_at >= $1 and a.ended_at < $2 and a.outcome in ('retry', 'fail', 'lost')
          group by 1, 2, 3
        ),
        waits as (
          select starts_at, queue, kind, jsonb_object_agg(step, count) as waits
          from (
            select starts_at, queue, kind, step, count(*) as count
            from ended
            where step is not null
            group by starts_at, queue, kind, step
          ) steps
          group by starts_at, queue, kind
        ),
        states as (
          select starts_at, queue, kind, count(*) filter (where state = 'completed') as completed,
            count(*) filter (where state = 'cancelled') as cancelled, count(*) filter (where state = 'discarded') as discarded
          from ended
          group by starts_at, queue, kind
        )
        insert into job_figures (resolution, starts_at, queue, kind, completed, cancelled, discarded, failures, waits)
        select 'minute', starts_at, queue, kind, coalesce(completed, 0), coalesce(cancelled, 0), coalesce(discarded, 0),
          coalesce(failures, 0), coalesce(waits, '{}')
        from states
        full join failed using (starts_at, queue, kind)
        left join waits using (starts_at, queue, kind)
        order by starts_at, queue, kind
        on conflict (resolution, starts_at, queue, kind) do update
        set completed = excluded.completed, cancelled = excluded.cancelled, discarded = excluded.discarded,
          failures = excluded.failures, waits = excluded.waits
        "#,
        since,
        until
    )
    .execute(&mut **tx)
    .await?;
    Ok(counted.rows_affected())
}

/// Adds the minutes up to hours: every hour that has a part between `since` and `until`.
pub async fn count_hours(tx: &mut Tx, since: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        with minutes as (
          select date_trunc('hour', starts_at, 'UTC') as hour, *
          from job_figures
          where resolution = 'minute' and starts_at >= date_trunc('hour', $1::timestamptz, 'UTC') and starts_at < $2
        ),
        waits as (
          select hour, queue, kind, jsonb_object_agg(step, count) as waits
          from (
            select hour, queue, kind, step, sum(count::bigint) as count
            from minutes
            cross join lateral jsonb_each_text(waits) as waited (step, count)
            group by hour, queue, kind, step
          ) steps
          group by hour, queue, kind
        ),
        sums as (
          select hour, queue, kind, sum(completed) as completed, sum(cancelled) as cancelled, sum(discarded) as discarded,
            sum(failures) as failures
          from minutes
          group by hour, queue, kind
        )
        insert into job_figures (resolution, starts_at, queue, kind, completed, cancelled, discarded, failures, waits)
        select 'hour', hour, queue, kind, completed, cancelled, discarded, failures, coalesce(waits.waits, '{}')
        from sums
        left join waits using (hour, queue, kind)
        order by hour, queue, kind
        on conflict (resolution, starts_at, queue, kind) do update
        set completed = excluded.completed, cancelled = excluded.cancelled, discarded = excluded.discarded,
          failures = excluded.failures, waits = excluded.waits
        "#,
        since,
        until
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletes figures that are too old, up to `limit`. Returns their number.
pub async fn prune_figures(tx: &mut Tx, limit: i64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        r#"
        delete from job_figures
        where (resolution, starts_at, queue, kind) in (
          select resolution, starts_at, queue, kind
          from job_figures
          where (resolution = 'minute' and starts_at < engine_now() - make_interval(days => $1))
            or (resolution = 'hour' and starts_at < engine_now() - make_interval(days => $2))
          limit $3
        )
        "#,
        MINUTE_DAYS,
        HOUR_DAYS,
        limit
    )
    .execute(&mut **tx)
    .await?;
    Ok(deleted.rows_affected())
}
