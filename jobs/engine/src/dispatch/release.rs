//! Releasing: puts a fair batch of due jobs into the window.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    QueueLimits,
    turns::{DueJob, Lane, choose},
};
use crate::{Tx, run::SUSPECT};

/// The time after which a job that was released and not claimed is released again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2);

/// A job in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// The job's id.
    pub id: Uuid,
    /// The job's place in the window: microseconds of the database's clock, raised by its turn.
    pub place: i64,
}

/// The parameters of one release.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The queue to release from.
    pub queue: &'a str,
    /// The priority to release, 1 to 3.
    pub priority: i16,
    /// Kinds that a live worker runs.
    pub kinds: &'a [String],
    /// The limits that operators set.
    pub limits: QueueLimits,
    /// The most jobs to release.
    pub room: usize,
    /// The most jobs of one lane: its rate lets this many start at once. `None` without a rate.
    pub at_once: Option<i32>,
    /// True if released jobs are marked in the database: see [`mark`].
    pub is_marked: bool,
}

impl Order<'_> {
    /// Returns the most lanes that one release visits.
    ///
    /// A visit costs a few probes of the index, whether it finds jobs or not. A large batch takes
    /// about eight jobs of each lane, and the next batch continues behind it.
    fn lanes(&self) -> i64 {
        i64::try_from(self.room.min(64).max(self.room.div_ceil(8))).unwrap_or(i64::MAX)
    }
}

/// The position at which a release continues: behind the lane where the last one ended, and in each
/// lane behind the jobs that were released.
#[derive(Debug, Default, Clone)]
pub struct Cursor {
    /// `None` starts at the first lane, which is the system's.
    lane: Option<Lane>,
    reached: BTreeMap<Lane, (DateTime<Utc>, Uuid)>,
    since: Option<Instant>,
}

/// Releases jobs round-robin over lanes, starting at the cursor, and returns them in the order in
/// which they are to run. If few lanes have work, each gets a larger share.
///
/// Lanes that are at a limit, are resting, or whose account is parked for less than five seconds
/// are skipped. Jobs are suspended instead of released if their account is parked for longer or if
/// no live worker runs their kind.
///
/// Released jobs are not written, unless `order.is_marked`. The cursor remembers the last job
/// released of each lane and forgets it after two seconds, so that lost jobs are released again. A
/// job that is in the window twice is claimed only once.
pub async fn release(tx: &mut Tx, order: &Order<'_>, cursor: &mut Cursor) -> Result<Vec<Released>, sqlx::Error> {
    if cursor.since.is_none_or(|since| since.elapsed() >= FORGOTTEN_AFTER) {
        cursor.reached.clear();
        cursor.since = Some(Instant::now());
    }
    let begun = cursor.lane;
    let released = release_from(tx, order, cursor).await?;
    // The cursor may have stood behind the last lane with work: start again at the first lane. If
    // the scan was cut, the next release continues behind it instead.
    if released.is_empty() && begun.is_some() && cursor.lane.is_none() {
        return release_from(tx, order, cursor).await;
    }
    Ok(released)
}

async fn release_from(tx: &mut Tx, order: &Order<'_>, cursor: &mut Cursor) -> Result<Vec<Released>, sqlx::Error> {
    let rows = select(tx, order, cursor).await?;
    let Some(end) = rows.first() else {
        return Ok(Vec::new());
    };
    cursor.lane = end.is_cut.then_some((end.last_tenant_id, end.last_lane));
    let first = end.place;
    let chosen = choose(rows.iter().filter_map(Row::job).collect(), order.room, end.shared_room);
    for job in &chosen {
        if job.is_last {
            cursor.reached.remove(&job.lane);
        } else if !order.is_marked {
            cursor.reached.insert(job.lane, (job.run_at, job.id));
        }
    }
    let (released, suspended): (Vec<_>, Vec<_>) =
        chosen.into_iter().partition(|job| job.is_known && job.parked_until.is_none());
    suspend(tx, &suspended).await?;
    if order.is_marked {
        mark(tx, &released.iter().map(|job| job.id).collect::<Vec<_>>()).await?;
    }
    Ok((first..).zip(released).map(|(place, job)| Released { id: job.id, place }).collect())
}

/// A row of the batch. Each row also has the place at which the scan of lanes ended. If the scan
/// found nothing to release, there is one row without a job.
struct Row {
    last_tenant_id: Uuid,
    last_lane: Uuid,
    /// True if the scan ended because the batch was full, false if it ran out of lanes.
    is_cut: bool,
    place: i64,
    shared_room: Option<i64>,
    id: Option<Uuid>,
    tenant_id: Option<Uuid>,
    lane: Option<Uuid>,
    run_at: Option<DateTime<Utc>>,
    parked_until: Option<DateTime<Utc>>,
    is_known: Option<bool>,
    share: Option<i64>,
    tenant_room: Option<i64>,
    is_tenant_idle: Option<bool>,
}

impl Row {
    fn job(&self) -> Option<DueJob> {
        Some(DueJob {
            id: self.id?,
            lane: (self.tenant_id?, self.lane?),
            run_at: self.run_at?,
            parked_until: self.parked_until,
            is_known: self.is_known?,
            share: usize::try_from(self.share?).ok()?,
            tenant_room: self.tenant_room,
            is_tenant_idle: self.is_tenant_idle?,
            turn: 0,
            is_last: false,
        })
    }
}

/// Suspends jobs until their account's park ends, or until a worker comes that runs their kind.
async fn suspend(tx: &mut Tx, jobs: &[DueJob]) -> Result<(), sqlx::Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    let until: Vec<Option<DateTime<Utc>>> = jobs.iter().map(|job| job.parked_until).collect();
    sqlx::query!(
        "
        with waiting as (
          select j.id, asked.until
          from jobs j
          join unnest($1::uuid[], $2::timestamptz[]) as asked (id, until) on asked.id = j.id
          where j.state is not distinct from 'available'
            -- A park that ended meanwhile has resumed what it held.
            and (asked.until is null or exists (
              select from parked_accounts parked
              where parked.tenant_id = j.tenant_id and parked.account_id = j.account_id and parked.until > engine_now()
            ))
          order by j.id
          for update of j skip locked
        )
        update jobs
        set state = 'suspended', dispatched_at = null, run_at = until,
          suspended_on = case when until is null then 'kind:' || kind else 'account:' || account_id end
        from waiting
        where jobs.id = waiting.id
        ",
        &ids,
        &until as &[Option<DateTime<Utc>>]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The statement that picks a batch of due jobs. `$locked` is its locking clause, or nothing.
///
/// It walks the lanes through the index, one probe a lane (`lanes`). Then it computes the share and
/// the room of each lane (`usable`) and takes its first due jobs (`picked`). Counts for limits
/// (`busy`) are only read if there are limits.
///
/// | SQL | from | meaning |
/// |---|---|---|
/// | `$1`, `$2` | `queue`, `priority` | the jobs to pick from |
/// | `$3`, `$4` | tenant and lane | the scan starts behind this lane; null: at the first lane |
/// | `$5` | `room` | the most jobs to release |
/// | `$6` | `kinds` | kinds that a live worker runs |
/// | `$7` | `max_per_tenant` | the limit of each tenant; null: no limit |
/// | `$8` | `max_per_account` | the limit of each lane; null: no limit |
/// | `$9` - `$12` | `Reached` | the last job that was released of each lane |
/// | `$13` | `Order::lanes` | the most lanes to visit; up to 1,000 more if some are full |
/// | `$14` | `at_once` | the most jobs of one lane that its rate lets start; null: no rate |
macro_rules! pick {
    ($locked:literal, $order:expr, $cursor:expr, $reached:expr) => {
        sqlx::query_as!(
            Row,
            r#"
            with recursive busy as (
              select tenant_id, lane, count(*) as number, count(*) filter (where crashes < $16) as slots
              from jobs
              where ($7::int is not null or $8::int is not null or $15::int is not null) and queue = $1
                and (state = 'executing' or (state = 'available' and dispatched_at is not null))
              group by tenant_id, lane
            ),
            busy_tenants as (
              select tenant_id, sum(number)::bigint as number,
                coalesce(sum(number) >= $7, false) or coalesce((select sum(slots) from busy) >= $15, false) as is_full
              from busy
              group by tenant_id
            ),
            lanes as (
              -- Nothing is less than the system's lane: the scan begins at it, not behind it.
              select coalesce($3, nil) as tenant_id, coalesce($4, nil) as lane, is_system::int::bigint as number,
                0::bigint as steps, not is_system as is_full
              from (select '00000000-0000-0000-0000-000000000000'::uuid as nil) nil
              cross join lateral (
                select $3::uuid is null and exists (
                  select from jobs j
                  where j.queue = $1 and j.priority = $2 and j.state = 'available' and j.dispatched_at is null
                    and j.tenant_id = nil and j.lane = nil
                ) and not coalesce((
                  select rest.until > engine_now()
                  from resting_lanes rest
                  where rest.queue = $1 and rest.tenant_id = nil and rest.lane = nil
                ), false) as is_system
              ) first
              union all
              select next.tenant_id, next.lane, lanes.number + (not next.is_full)::int, lanes.steps + 1, next.is_full
              from lanes
              cross join lateral (
                select j.tenant_id, j.lane,
                  exists (select from busy where busy.lane = j.lane and busy.number >= $8)
                    or exists (select from busy_tenants b where b.tenant_id = j.tenant_id and b.is_full)
                    -- Not `exists`, for which the planner may read all of them.
                    or coalesce((
                      select rest.until > engine_now()
                      from resting_lanes rest
                      where rest.queue = $1 and rest.tenant_id = j.tenant_id and rest.lane = j.lane
                    ), false) as is_full
                from jobs j
                where j.queue = $1 and j.priority = $2 and j.state = 'available' and j.dispatched_at is null
                  and (j.tenant_id, j.lane) > (
                    lanes.tenant_id,
                    case
                      when exists (select from busy_tenants b where b.tenant_id = lanes.tenant_id and b.is_full)
                      then 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                      else lanes.lane
                    end
                  )
                order by j.tenant_id, j.lane
                limit 1
              ) next
              where lanes.number < $13 and lanes.steps < $13 + 1000
            ),
            -- Not a join, which the planner would take for a small one and make row by row.
            visited as (
              select tenant_id, lane, max(run_at) as run_at, (array_agg(id) filter (where id is not null))[1] as id
              from (
                select tenant_id, lane, null::timestamptz as run_at, null::uuid as id, true as is_visited
                from lanes
                where not is_full
                union all
                select tenant_id, lane, run_at, id, false
                from unnest($9::uuid[], $10::uuid[], $11::timestamptz[], $12::uuid[])
                  as reached (tenant_id, lane, run_at, id)
              ) known
              group by tenant_id, lane
              having bool_or(is_visited)
            ),
            usable as (
              select visited.tenant_id, visited.lane, parked.until, $7 - coalesce(tenant.number, 0) as tenant_room,
                tenant.number is null as is_tenant_idle,
                ($5 + count(*) over () - 1) / count(*) over () as share,
                least(coalesce($8 - busy.number, $8, $5), $14::int) as allowed,
                coalesce(visited.run_at, '-infinity') as run_at,
                coalesce(visited.id, '00000000-0000-0000-0000-000000000000') as id
              from visited
              left join busy on busy.tenant_id = visited.tenant_id and busy.lane = visited.lane
              left join busy_tenants tenant on tenant.tenant_id = visited.tenant_id
              left join parked_accounts parked
                on parked.tenant_id = visited.tenant_id and parked.account_id = visited.lane
                  and parked.until > engine_now()
              where parked.until is null or parked.until > engine_now() + interval '5 seconds'
            ),
            picked as (
              select job.id, job.tenant_id, job.lane, job.run_at, lane.until, job.kind = any($6) as is_known, lane.share,
                lane.tenant_room, lane.is_tenant_idle
              from usable lane
              cross join lateral (
                select j.id, j.tenant_id, j.lane, j.kind, j.run_at
                from jobs j
                where j.queue = $1 and j.priority = $2 and j.state = 'available' and j.dispatched_at is null
                  and j.tenant_id = lane.tenant_id and j.lane = lane.lane and (j.run_at, j.id) > (lane.run_at, lane.id)
                order by j.run_at, j.id
                limit greatest(0, least(lane.allowed, lane.share))
                "# + $locked + r#"
              ) job
            ),
            last as (
              select tenant_id, lane, number >= $13 or steps >= $13 + 1000 as is_cut
              from lanes
              order by steps desc
              limit 1
            )
            select last.tenant_id as "last_tenant_id!", last.lane as "last_lane!", last.is_cut as "is_cut!",
              (extract(epoch from engine_now()) * 1000000)::bigint as "place!",
              $15 - coalesce((select sum(slots) from busy), 0)::bigint as shared_room,
              picked.id as "id?", picked.tenant_id as "tenant_id?", picked.lane as "lane?", picked.run_at as "run_at?",
              picked.until as "parked_until?", picked.is_known as "is_known?", picked.share as "share?",
              picked.tenant_room as "tenant_room?", picked.is_tenant_idle as "is_tenant_idle?"
            from last
            left join picked on true
            "#,
            $order.queue,
            $order.priority,
            $cursor.lane.map(|lane| lane.0),
            $cursor.lane.map(|lane| lane.1),
            i64::try_from($order.room).unwrap_or(i64::MAX),
            $order.kinds,
            $order.limits.max_per_tenant,
            $order.limits.max_per_account,
            &$reached.tenants,
            &$reached.lanes,
            &$reached.times,
            &$reached.ids,
            $order.lanes(),
            $order.at_once,
            $order.limits.max_shared,
            SUSPECT
        )
    };
}

/// The last job that earlier releases took from each lane, as columns of equal length.
#[derive(Default)]
struct Reached {
    tenants: Vec<Uuid>,
    lanes: Vec<Uuid>,
    times: Vec<DateTime<Utc>>,
    ids: Vec<Uuid>,
}

async fn select(tx: &mut Tx, order: &Order<'_>, cursor: &Cursor) -> Result<Vec<Row>, sqlx::Error> {
    let mut reached = Reached::default();
    // Only lanes from the cursor on can be visited. A lane beyond the first `room` is left out,
    // which at worst releases it from its head again.
    for (&(tenant_id, lane), &(run_at, id)) in cursor.reached.range(cursor.lane.unwrap_or_default()..).take(order.room)
    {
        reached.tenants.push(tenant_id);
        reached.lanes.push(lane);
        reached.times.push(run_at);
        reached.ids.push(id);
    }
    if order.is_marked {
        pick!("for update skip locked", order, cursor, reached).fetch_all(&mut **tx).await
    } else {
        pick!("", order, cursor, reached).fetch_all(&mut **tx).await
    }
}

/// Marks jobs as released. Workers that cannot reach Redis find and claim marked jobs in the
/// database.
pub async fn mark(tx: &mut Tx, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update jobs
        set dispatched_at = engine_stamp()
        where id in (
          select id
          from jobs
          where id = any($1) and state is not distinct from 'available' and dispatched_at is null
          order by id
          for update skip locked
        )
        ",
        ids
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
