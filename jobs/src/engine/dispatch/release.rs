//! Releasing: a fair batch of what is due goes into the window.

use uuid::Uuid;

use super::Limits;
use crate::engine::Tx;

/// A job in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// Its id.
    pub id: Uuid,
    /// Its place in the window: microseconds of the database's clock, raised by its turn.
    pub place: i64,
}

/// What to release.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Of which queue.
    pub queue: &'a str,
    /// Of which priority, 1 to 3.
    pub priority: i16,
    /// Kinds that a live worker runs.
    pub kinds: &'a [String],
    /// What operators allow.
    pub limits: Limits,
    /// How many at most.
    pub room: usize,
}

/// Where a release goes on: behind the lane (tenant and account) at which the one before ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    tenant_id: Uuid,
    lane: Uuid,
}

/// Releases jobs round-robin over lanes from the cursor on; when few lanes have work each gets a larger share. Answers them
/// in the order in which they are to run. Lanes at a limit, or whose account is parked for a moment, are passed over. Jobs of
/// an account that is parked for longer, and of a kind that no live worker runs, are suspended instead.
///
/// # Errors
/// The database refused.
pub async fn release(tx: &mut Tx, order: &Order<'_>, cursor: &mut Cursor) -> Result<Vec<Released>, sqlx::Error> {
    let begun = *cursor;
    let released = release_from(tx, order, cursor).await?;
    // The cursor may have stood behind the last lane with work.
    if released.is_empty() && begun != Cursor::default() {
        *cursor = Cursor::default();
        return release_from(tx, order, cursor).await;
    }
    Ok(released)
}

async fn release_from(tx: &mut Tx, order: &Order<'_>, cursor: &mut Cursor) -> Result<Vec<Released>, sqlx::Error> {
    let mut rows = mark_dispatched(tx, order, *cursor).await?;
    *cursor = match rows.first() {
        Some(row) if row.is_cut => Cursor { tenant_id: row.last_tenant_id, lane: row.last_lane },
        Some(_) | None => Cursor::default(),
    };
    rows.sort_by_key(|row| (row.turn, row.tenant_id, row.lane));
    let first = rows.iter().filter_map(|row| row.place).min().unwrap_or(0);
    let ids = rows.into_iter().filter(|row| row.place.is_some()).filter_map(|row| row.id);
    Ok((first..).zip(ids).map(|(place, id)| Released { id, place }).collect())
}

/// A row of the batch, each with the place at which the scan of lanes ended; a scan that found nothing to release answers
/// one row without a job.
struct Dispatched {
    last_tenant_id: Uuid,
    last_lane: Uuid,
    /// The scan ended for want of room, not of lanes.
    is_cut: bool,
    id: Option<Uuid>,
    tenant_id: Option<Uuid>,
    lane: Option<Uuid>,
    /// Its number among those of its lane.
    turn: Option<i64>,
    /// `None`: it was suspended.
    place: Option<i64>,
}

async fn mark_dispatched(tx: &mut Tx, order: &Order<'_>, cursor: Cursor) -> Result<Vec<Dispatched>, sqlx::Error> {
    sqlx::query_as!(
        Dispatched,
        r#"
        with recursive busy as (
          select tenant_id, lane, count(*) as number
          from jobs
          where ($7::int is not null or $8::int is not null) and queue = $1
            and (state = 'executing' or (state = 'available' and dispatched_at is not null))
          group by tenant_id, lane
        ),
        busy_tenants as (
          select tenant_id, sum(number) as number from busy group by tenant_id
        ),
        lanes as (
          select $3::uuid as tenant_id, $4::uuid as lane, 0::bigint as number, 0::bigint as steps, true as is_full
          union all
          select next.tenant_id, next.lane, lanes.number + (not next.is_full)::int, lanes.steps + 1, next.is_full
          from lanes
          cross join lateral (
            select j.tenant_id, j.lane,
              exists (select from busy where busy.lane = j.lane and busy.number >= $8)
                or exists (select from busy_tenants b where b.tenant_id = j.tenant_id and b.number >= $7) as is_full
            from jobs j
            where j.queue = $1 and j.priority = $2 and j.state = 'available' and j.dispatched_at is null
              and (j.tenant_id, j.lane) > (
                lanes.tenant_id,
                case
                  when exists (select from busy_tenants b where b.tenant_id = lanes.tenant_id and b.number >= $7)
                  then 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                  else lanes.lane
                end
              )
            order by j.tenant_id, j.lane
            limit 1
          ) next
          where lanes.number < $5 and lanes.steps < $5 + 1000
        ),
        usable as (
          select lanes.tenant_id, lanes.lane, parked.until, count(*) over () as lanes,
            coalesce($8 - busy.number, $8, $5) as allowed
          from lanes
          left join busy on busy.tenant_id = lanes.tenant_id and busy.lane = lanes.lane
          left join parked_accounts parked
            on parked.tenant_id = lanes.tenant_id and parked.account_id = lanes.lane and parked.until > engine_now()
          where not is_full and (parked.until is null or parked.until > engine_now() + interval '5 seconds')
        ),
        picked as (
          select job.id, job.tenant_id, job.lane, lane.until, job.kind = any($6) as is_known,
            row_number() over (partition by job.tenant_id, job.lane order by job.run_at, job.id) as turn
          from usable lane
          cross join lateral (
            select j.id, j.tenant_id, j.lane, j.kind, j.run_at
            from jobs j
            where j.queue = $1 and j.priority = $2 and j.state = 'available' and j.dispatched_at is null
              and j.tenant_id = lane.tenant_id and j.lane = lane.lane
            order by j.run_at, j.id
            limit greatest(0, least(lane.allowed, ($5 + lane.lanes - 1) / lane.lanes))
            for update skip locked
          ) job
        ),
        ranked as (
          select picked.*, row_number() over (partition by tenant_id order by turn, lane) as tenant_turn
          from picked
        ),
        chosen as (
          select ranked.*
          from ranked
          left join busy_tenants b using (tenant_id)
          where $7::int is null or tenant_turn <= $7 - coalesce(b.number, 0)
          order by turn, tenant_id, lane
          limit $5
        ),
        marked as (
          update jobs
          set dispatched_at = case when chosen.until is null and is_known then engine_stamp() end,
            state = case when chosen.until is null and is_known then 'available' else 'suspended' end,
            suspended_on = case
              when chosen.until is not null then 'account:' || account_id
              when not is_known then 'kind:' || kind
            end,
            run_at = case when chosen.until is not null then chosen.until when is_known then run_at end
          from chosen
          where jobs.id = chosen.id
          returning jobs.id, jobs.tenant_id, jobs.lane, chosen.turn,
            (extract(epoch from dispatched_at) * 1000000)::bigint as place
        ),
        last as (
          select tenant_id, lane, number >= $5 or steps >= $5 + 1000 as is_cut
          from lanes
          order by steps desc
          limit 1
        )
        select last.tenant_id as "last_tenant_id!", last.lane as "last_lane!", last.is_cut as "is_cut!",
          marked.id as "id?", marked.tenant_id as "tenant_id?", marked.lane as "lane?", marked.turn as "turn?",
          marked.place as "place?"
        from last
        left join marked on true
        "#,
        order.queue,
        order.priority,
        cursor.tenant_id,
        cursor.lane,
        i64::try_from(order.room).unwrap_or(i64::MAX),
        order.kinds,
        order.limits.max_per_tenant,
        order.limits.max_per_account
    )
    .fetch_all(&mut **tx)
    .await
}
