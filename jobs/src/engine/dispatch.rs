//! Dispatching: one process at a time promotes what is due and releases a fair batch of it into Redis' window.
//!
//! Every step is a compare-and-set of its own and stays right with two leaders; leadership only saves work.

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgConnection;
use uuid::Uuid;

use super::Db;
use crate::ids::WorkerId;

/// Promoted in one statement at most.
const PROMOTED_AT_ONCE: i64 = 500;

/// Takes or keeps the leadership for `lease`, by the database's clock.
///
/// # Errors
/// The database refused.
pub async fn lead(db: &Db, holder: WorkerId, lease: Duration) -> Result<bool, sqlx::Error> {
    let mut tx = db.system().await?;
    let row = sqlx::query!(
        "
        insert into leadership as current (name, holder, epoch, expires_at)
        values ('dispatcher', $1, 1, clock_timestamp() + make_interval(secs => $2))
        on conflict (name) do update set
          holder = excluded.holder,
          epoch = current.epoch + (current.holder <> excluded.holder)::int,
          expires_at = excluded.expires_at
        where current.holder = excluded.holder or current.expires_at < clock_timestamp()
        returning epoch
        ",
        holder.0,
        lease.as_secs_f64()
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(row.is_some())
}

/// Gives the leadership up, for a process that stops.
///
/// # Errors
/// The database refused; the leadership then ends by itself.
pub async fn step_down(db: &Db, holder: WorkerId) -> Result<(), sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query!("delete from leadership where holder = $1", holder.0).execute(&mut *tx).await?;
    tx.commit().await
}

/// Makes jobs available whose time has come, earliest first. Answers whether there may be more.
///
/// # Errors
/// The database refused.
pub async fn promote(db: &Db) -> Result<bool, sqlx::Error> {
    let mut tx = db.system().await?;
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
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(promoted.rows_affected() >= PROMOTED_AT_ONCE.unsigned_abs())
}

/// How long until the next job's time comes, if that is soon.
///
/// # Errors
/// The database refused.
pub async fn next_due(db: &Db) -> Result<Option<Duration>, sqlx::Error> {
    let mut tx = db.system().await?;
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from run_at - engine_now())::float8 as "seconds!"
        from jobs
        where state in ('scheduled', 'retryable', 'suspended') and run_at is not null
        order by run_at
        limit 1
        "#
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

/// What live workers can take.
#[derive(Debug, Default)]
pub struct Capacity {
    /// Slots by queue.
    pub slots: BTreeMap<String, usize>,
    /// Kinds that at least one of them runs; others are not released.
    pub kinds: Vec<String>,
}

/// Reads what live workers can take.
///
/// # Errors
/// The database refused.
pub async fn capacity(db: &Db) -> Result<Capacity, sqlx::Error> {
    let mut tx = db.system().await?;
    let rows = sqlx::query!(
        r#"
        select queues as "queues: sqlx::types::Json<BTreeMap<String, usize>>", kinds
        from workers
        where expires_at > clock_timestamp()
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

/// How many jobs of each queue are in the window.
///
/// # Errors
/// The database refused.
pub async fn count_dispatched(db: &Db) -> Result<BTreeMap<String, usize>, sqlx::Error> {
    let mut tx = db.system().await?;
    let rows = sqlx::query!(
        r#"
        select queue, count(*) as "count!"
        from jobs
        where state = 'available' and dispatched_at is not null
        group by queue
        "#
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(|row| (row.queue, usize::try_from(row.count).unwrap_or(0))).collect())
}

/// A job in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// Its id.
    pub id: Uuid,
    /// Its place in the window: microseconds of the database's clock, raised by its turn.
    pub place: i64,
}

/// Where a queue's release goes on: the first tenant that is not behind it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cursor(Uuid);

/// Releases up to `room` jobs of a queue, round-robin over tenants from the cursor on. When few tenants have work each
/// gets a larger share. Answers them in the order in which they are to run.
///
/// # Errors
/// The database refused.
pub async fn release(
    db: &Db,
    queue: &str,
    kinds: &[String],
    room: usize,
    cursor: &mut Cursor,
) -> Result<Vec<Released>, sqlx::Error> {
    let mut tx = db.system().await?;
    let room = i64::try_from(room).unwrap_or(i64::MAX);
    let mut rows = mark_dispatched(&mut tx, queue, kinds, room, *cursor).await?;
    tx.commit().await?;
    let last = rows.iter().map(|row| row.tenant_id).max();
    // Past the last tenant, or with room to spare, start over.
    *cursor = match last {
        Some(tenant) if i64::try_from(rows.len()).unwrap_or(i64::MAX) >= room => {
            Cursor(Uuid::from_u128(tenant.as_u128().wrapping_add(1)))
        }
        _ => Cursor::default(),
    };
    rows.sort_by_key(|row| (row.turn, row.tenant_id));
    let first = rows.iter().map(|row| row.place).min().unwrap_or(0);
    Ok((first..).zip(rows).map(|(place, row)| Released { id: row.id, place }).collect())
}

struct Dispatched {
    id: Uuid,
    tenant_id: Uuid,
    /// Its number among those of its tenant.
    turn: i64,
    place: i64,
}

async fn mark_dispatched(
    conn: &mut PgConnection,
    queue: &str,
    kinds: &[String],
    room: i64,
    cursor: Cursor,
) -> Result<Vec<Dispatched>, sqlx::Error> {
    sqlx::query_as!(
        Dispatched,
        r#"
        with recursive lanes as (
          (
            select tenant_id, 1::bigint as number
            from jobs
            where queue = $1 and state = 'available' and dispatched_at is null and kind = any($4)
              and tenant_id >= $2
            order by tenant_id
            limit 1
          )
          union all
          select (
              select j.tenant_id
              from jobs j
              where j.queue = $1 and j.state = 'available' and j.dispatched_at is null and j.kind = any($4)
                and j.tenant_id > lanes.tenant_id
              order by j.tenant_id
              limit 1
            ), number + 1
          from lanes
          where lanes.tenant_id is not null and number < $3
        ),
        picked as (
          select job.id, job.tenant_id, row_number() over (partition by job.tenant_id order by job.run_at, job.id) as turn
          from (select tenant_id, count(*) over () as lanes from lanes where tenant_id is not null) lane
          cross join lateral (
            select j.id, j.tenant_id, j.run_at
            from jobs j
            where j.queue = $1 and j.state = 'available' and j.dispatched_at is null and j.kind = any($4)
              and j.tenant_id = lane.tenant_id
            order by j.run_at, j.id
            limit ($3 + lane.lanes - 1) / lane.lanes
            for update skip locked
          ) job
        )
        update jobs
        set dispatched_at = engine_stamp()
        from picked
        where jobs.id = picked.id
        returning jobs.id, jobs.tenant_id, picked.turn as "turn!",
          (extract(epoch from dispatched_at) * 1000000)::bigint as "place!"
        "#,
        queue,
        cursor.0,
        room,
        kinds
    )
    .fetch_all(conn)
    .await
}

/// Ids that have been in the window for over two seconds: pushed again, in case Redis lost them.
///
/// # Errors
/// The database refused.
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
