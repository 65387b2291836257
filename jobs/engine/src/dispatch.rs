//! The steps of the dispatcher. One process promotes due jobs and releases a fair batch of them
//! into the window in Redis.
//!
//! Every step is a compare-and-set by itself and stays correct with two leaders. Leadership only
//! saves work.

mod release;
mod survey;
mod turns;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub use self::{
    release::{Cursor, Order, Released, mark, release},
    survey::{QueueLimits, QueueState, survey},
};
use super::{
    Db, Tx,
    clock::Reading,
    failpoint::{self, Failpoint},
};
use crate::ids::WorkerId;

/// The most jobs that one statement promotes.
const PROMOTED_AT_ONCE: i64 = 500;

/// The most rests of lanes that one statement deletes.
const RESTS_FORGOTTEN_AT_ONCE: i64 = 5_000;

/// Takes or renews the leadership for `lease`, by the database's clock. `has_promoted` says that
/// due jobs were promoted since the last call. Returns a reading of the clock, and false while
/// another process leads.
///
/// A lease that ends later than one taken now dates from before the clock was set back, so it
/// counts as over.
pub async fn lead(
    db: &Db,
    holder: WorkerId,
    lease: Duration,
    has_promoted: bool,
) -> Result<(bool, Reading), sqlx::Error> {
    let mut tx = db.system().await?;
    let asked = Instant::now();
    let row = sqlx::query!(
        r#"
        with led as (
          insert into leadership as current (name, holder, epoch, expires_at)
          values ('dispatcher', $1, 1, clock_timestamp() + make_interval(secs => $2))
          on conflict (name) do update set
            holder = excluded.holder,
            epoch = current.epoch + (current.holder <> excluded.holder)::int,
            expires_at = excluded.expires_at,
            promoted_at = case when $3 then clock_timestamp() else current.promoted_at end
          where current.holder = excluded.holder or current.expires_at < clock_timestamp()
            or current.expires_at > clock_timestamp() + make_interval(secs => $2)
          returning epoch
        )
        select exists (select from led) as "leads!", clock_timestamp() as "time!",
          pg_postmaster_start_time() as "server_started!"
        "#,
        holder.0,
        lease.as_secs_f64(),
        has_promoted
    )
    .fetch_one(&mut *tx)
    .await?;
    let answered = Instant::now();
    tx.commit().await?;
    Ok((row.leads, Reading { time: row.time, server_started: row.server_started, asked, answered }))
}

/// Gives up the leadership, for a process that stops.
pub async fn step_down(db: &Db, holder: WorkerId) -> Result<(), sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query!("delete from leadership where holder = $1", holder.0).execute(&mut *tx).await?;
    tx.commit().await
}

/// Opens a transaction for promoting and releasing.
///
/// In it the planner reads rows in the order of an index and never sorts them: a lane may hold a
/// million jobs, and the statistics may be stale.
pub async fn begin(db: &Db) -> Result<Tx, sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query!("set local enable_bitmapscan = off").execute(&mut *tx).await?;
    Ok(tx)
}

/// Makes due jobs available, earliest first. Returns true if more may be due.
pub async fn promote(tx: &mut Tx) -> Result<bool, sqlx::Error> {
    let promoted = sqlx::query!(
        "
        update jobs
        set state = 'available', suspended_on = null, dispatched_at = null
        where id in (
          select id
          from jobs
          where state in ('scheduled', 'retryable', 'suspended') and run_at <= engine_now()
          order by run_at
          limit $1
          for update skip locked
        )
        ",
        PROMOTED_AT_ONCE
    )
    .execute(&mut **tx)
    .await?;
    if promoted.rows_affected() > 0 {
        failpoint::reach(Failpoint::Promoted);
    }
    Ok(promoted.rows_affected() >= PROMOTED_AT_ONCE.unsigned_abs())
}

/// Makes jobs available that waited for a worker that runs their kind, one chunk per call. Returns
/// the number of jobs.
pub async fn resume_kinds(db: &Db, kinds: &[String]) -> Result<u64, sqlx::Error> {
    let waits: Vec<String> = kinds.iter().map(|kind| format!("kind:{kind}")).collect();
    let mut tx = db.system().await?;
    let resumed = sqlx::query!(
        "
        update jobs
        set state = 'available', suspended_on = null, run_at = due_at
        where id in (
          select id
          from jobs
          where state = 'suspended' and suspended_on = any($1)
          limit $2
          for update skip locked
        )
        ",
        &waits,
        PROMOTED_AT_ONCE
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(resumed.rows_affected())
}

/// Ends all rests. After a step back of the clock they would last longer than they were meant to.
pub async fn end_rests(db: &Db) -> Result<(), sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query!("delete from resting_lanes").execute(&mut *tx).await?;
    tx.commit().await
}

/// Deletes the rests of lanes that are over, one chunk per call.
pub async fn forget_rests(db: &Db) -> Result<(), sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query!(
        "
        delete from resting_lanes
        where (queue, tenant_id, lane) in (
          select queue, tenant_id, lane
          from resting_lanes
          where until <= engine_now()
          order by until
          limit $1
          for update skip locked
        )
        ",
        RESTS_FORGOTTEN_AT_ONCE
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Returns the time until the next job is due or the next lane's rest ends, or `None` if nothing
/// waits for a time.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Duration>, sqlx::Error> {
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from least(
          (
            select run_at
            from jobs
            where state in ('scheduled', 'retryable', 'suspended') and run_at is not null
            order by run_at
            limit 1
          ),
          (select until from resting_lanes where until > engine_now() order by until limit 1)
        ) - engine_now())::float8
        "#
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

/// Returns the place in the window of a job that is released now: microseconds of the database's
/// clock.
pub async fn place(tx: &mut Tx) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select (extract(epoch from engine_now()) * 1000000)::bigint as "place!""#)
        .fetch_one(&mut **tx)
        .await
}

/// The capacity of the live workers.
#[derive(Debug, Default)]
pub struct Capacity {
    /// Slots by queue.
    pub slots: BTreeMap<String, usize>,
    /// Kinds that at least one live worker runs. Jobs of other kinds are not released.
    pub kinds: Vec<String>,
}

/// Reads the capacity of the live workers.
pub async fn capacity(db: &Db) -> Result<Capacity, sqlx::Error> {
    let mut tx = db.system().await?;
    let rows = sqlx::query!(
        r#"
        select queues as "queues: sqlx::types::Json<BTreeMap<String, usize>>", kinds
        from workers
        where clock_timestamp() between renewed_at and expires_at
        "#
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let mut capacity = Capacity::default();
    for row in rows {
        for (queue, slots) in row.queues.0 {
            *capacity.slots.entry(queue).or_default() += slots;
        }
        capacity.kinds.extend(row.kinds);
    }
    capacity.kinds.sort();
    capacity.kinds.dedup();
    Ok(capacity)
}

/// Lists jobs that have been marked as released for over two seconds, by queue. The caller pushes
/// them again, in case Redis lost them.
pub async fn list_to_push_again(db: &Db) -> Result<BTreeMap<String, Vec<Released>>, sqlx::Error> {
    let mut tx = db.system().await?;
    let rows = sqlx::query!(
        r#"
        select queue, id, (extract(epoch from dispatched_at) * 1000000)::bigint as "place!"
        from jobs
        where state = 'available' and dispatched_at < engine_now() - interval '2 seconds'
        order by queue, dispatched_at
        limit 20000
        "#
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let mut ids: BTreeMap<String, Vec<Released>> = BTreeMap::new();
    for row in rows {
        ids.entry(row.queue).or_default().push(Released { id: row.id, place: row.place });
    }
    Ok(ids)
}
