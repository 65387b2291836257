//! Statistics of queues: the amount and the age of waiting work, and the jobs that ended lately.

use std::collections::BTreeMap;

use super::MAX_COUNT;
use crate::{
    JobState, Tx,
    staff::plans::{self, Plans},
};

/// The age up to which a finished job counts as lately.
const LATELY_SECONDS: f64 = 3600.0;

/// The highest number that jobs which ended lately are counted to.
const MAX_FINISHED: i64 = 100_000;

/// A count that ends at a maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number of jobs; there may be more.
    pub count: i64,
    /// True if the number is exact.
    pub is_exact: bool,
}

/// Counts of unfinished jobs by queue and state.
pub type Depths = BTreeMap<(String, JobState), Count>;

/// Counts unfinished jobs by queue and state. Available jobs are counted up to [`MAX_COUNT`] in
/// each queue. Scheduled, retryable and suspended jobs are counted up to [`MAX_COUNT`] of each
/// state over all queues.
pub async fn depths(tx: &mut Tx) -> Result<Depths, sqlx::Error> {
    plans::choose(tx, Plans::InOrder).await?;
    count_depths(tx).await
}

/// Counts as [`depths`], with plans in order.
pub(super) async fn count_depths(tx: &mut Tx) -> Result<Depths, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select q.name as "queue!", 'available' as "state!: JobState", waiting.count + dispatched.count as "count!",
          waiting.count <= $1::bigint as "is_exact!"
        from queues q
        cross join lateral (
          select count(*)
          from (
            select
            from jobs
            where queue = q.name and state = 'available' and dispatched_at is null
            limit $1::bigint + 1
          ) found
        ) waiting
        cross join lateral (
          select count(*) from jobs where queue = q.name and state = 'available' and dispatched_at is not null
        ) dispatched
        union all
        select queue, state, count(*), state = 'executing' or sum(count(*)) over (partition by state) <= $1::bigint
        from (
          (
            select queue, state
            from jobs
            where state = 'scheduled' and run_at is not null
            order by run_at
            limit $1::bigint + 1
          )
          union all
          (select queue, state from jobs where state = 'retryable' order by created_at desc limit $1::bigint + 1)
          union all
          (select queue, state from jobs where state = 'suspended' order by created_at desc limit $1::bigint + 1)
          union all
          (select queue, state from jobs where state = 'executing')
        ) found
        group by queue, state
        "#,
        MAX_COUNT
    )
    .fetch_all(&mut **tx)
    .await?;
    let count = |count, is_exact| Count { count, is_exact };
    Ok(rows.into_iter().map(|row| ((row.queue, row.state), count(row.count, row.is_exact))).collect())
}

/// Jobs that ended within the last hour.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the states")]
pub struct Finished {
    pub completed: i64,
    pub cancelled: i64,
    pub discarded: i64,
    /// True if all jobs were counted: counting ends at 100,000.
    pub is_exact: bool,
}

/// Counts jobs that ended within the last hour.
pub async fn finished_lately(tx: &mut Tx) -> Result<Finished, sqlx::Error> {
    plans::choose(tx, Plans::ByRange).await?;
    let row = sqlx::query!(
        r#"
        select count(*) filter (where state = 'completed') as "completed!",
          count(*) filter (where state = 'cancelled') as "cancelled!",
          count(*) filter (where state = 'discarded') as "discarded!",
          count(*) <= $2::bigint as "is_exact!"
        from (
          select state
          from job_history
          where ended_at > engine_now() - make_interval(secs => $1)
          limit $2::bigint + 1
        ) found
        "#,
        LATELY_SECONDS,
        MAX_FINISHED
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Finished {
        completed: row.completed,
        cancelled: row.cancelled,
        discarded: row.discarded,
        is_exact: row.is_exact,
    })
}

/// The estimated number of rows in the tables, from the database's statistics.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Unfinished jobs.
    pub jobs: i64,
    /// Finished jobs.
    pub job_history: i64,
}

/// Estimates the number of jobs.
pub async fn sizes(tx: &mut Tx) -> Result<Sizes, sqlx::Error> {
    sqlx::query_as!(
        Sizes,
        r#"
        select coalesce(max(greatest(reltuples, 0)) filter (where oid = 'jobs'::regclass), 0)::bigint as "jobs!",
          coalesce(max(greatest(reltuples, 0)) filter (where oid = 'job_history'::regclass), 0)::bigint as "job_history!"
        from pg_class
        where oid in ('jobs'::regclass, 'job_history'::regclass)
        "#
    )
    .fetch_one(&mut **tx)
    .await
}
