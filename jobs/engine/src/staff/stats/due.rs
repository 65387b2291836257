//! Work that is due by the clock, whether or not it is promoted.

use std::{collections::BTreeMap, time::Duration};

use crate::{Tx, dispatch::QueueLimits, run::SUSPECT};

/// The most lanes of a queue whose oldest job is read.
const MAX_LANES: i32 = 5_000;

/// The most jobs with a time that are read, the earliest first. Jobs behind them are due later.
/// They are read once the earlier ones are promoted; if those are not promoted, they are overdue
/// themselves.
const MAX_TIMED: i64 = 10_000;

/// The due work of a queue.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Due {
    /// The time that the oldest available job has waited.
    available: Option<Duration>,
    /// The same without lanes that a limit, a rest or a park holds back. Released jobs count from
    /// their release.
    pub(super) runnable: Option<Duration>,
    /// The seconds that the earliest job with a time has been due; negative before its time.
    pub(super) timed: Option<f64>,
}

impl Due {
    /// Returns the time that the oldest due job has waited, promoted or not.
    pub(super) fn oldest(self) -> Option<Duration> {
        let timed = self.timed.and_then(|overdue| Duration::try_from_secs_f64(overdue).ok());
        self.available.max(timed)
    }
}

/// Returns the time that the oldest due job of each queue has waited, promoted or not. Queues without
/// due work are left out. Reads the first job of each lane, of at most 5,000 lanes per queue.
pub async fn oldest_due(tx: &mut Tx) -> Result<BTreeMap<String, Duration>, sqlx::Error> {
    let due = find_due(tx, &BTreeMap::new(), Duration::ZERO).await?;
    Ok(due.into_iter().filter_map(|(queue, due)| Some((queue, due.oldest()?))).collect())
}

/// Finds the due work of each queue under its limits, and jobs that are due within `ahead`.
#[expect(clippy::too_many_lines, reason = "one statement")]
pub(super) async fn find_due(
    tx: &mut Tx,
    limits: &BTreeMap<String, QueueLimits>,
    ahead: Duration,
) -> Result<BTreeMap<String, Due>, sqlx::Error> {
    let queues: Vec<String> = limits.keys().cloned().collect();
    let tenant: Vec<Option<i32>> = limits.values().map(|limits| limits.max_per_tenant).collect();
    let account: Vec<Option<i32>> = limits.values().map(|limits| limits.max_per_account).collect();
    let shared: Vec<Option<i32>> = limits.values().map(|limits| limits.max_shared).collect();
    let rows = sqlx::query!(
        r#"
        with recursive lanes as (
          select q.name as queue, first.priority, first.tenant_id, first.lane, first.run_at, 1 as number
          from queues q
          cross join lateral (
            select j.priority, j.tenant_id, j.lane, j.run_at
            from jobs j
            where j.queue = q.name and j.state = 'available' and j.dispatched_at is null
            order by j.priority, j.tenant_id, j.lane, j.run_at
            limit 1
          ) first
          union all
          select lanes.queue, next.priority, next.tenant_id, next.lane, next.run_at, number + 1
          from lanes
          cross join lateral (
            select j.priority, j.tenant_id, j.lane, j.run_at
            from jobs j
            where j.queue = lanes.queue and j.state = 'available' and j.dispatched_at is null
              and (j.priority, j.tenant_id, j.lane) > (lanes.priority, lanes.tenant_id, lanes.lane)
            order by j.priority, j.tenant_id, j.lane, j.run_at
            limit 1
          ) next
          where number < $1
        ),
        busy as (
          select queue, tenant_id, lane, count(*) as number, count(*) filter (where crashes < $2) as slots
          from jobs
          where state = 'executing' or (state = 'available' and dispatched_at is not null)
          group by queue, tenant_id, lane
        ),
        busy_tenants as (
          select queue, tenant_id, sum(number) as number, sum(sum(slots)) over (partition by queue) as slots
          from busy
          group by queue, tenant_id
        ),
        held as (
          select lanes.queue, lanes.run_at,
            coalesce(busy.number >= max.account or tenant.number >= max.tenant or tenant.slots >= max.shared, false)
              or exists (
                select from resting_lanes rest
                where rest.tenant_id = lanes.tenant_id and rest.queue = lanes.queue and rest.lane = lanes.lane
                  and rest.until > engine_now()
              )
              or exists (
                select from parked_accounts parked
                where parked.tenant_id = lanes.tenant_id and parked.account_id = lanes.lane and parked.until > engine_now()
              ) as is_held
          from lanes
          left join unnest($3::text[], $4::int[], $5::int[], $6::int[]) as max (queue, tenant, account, shared)
            on max.queue = lanes.queue
          left join busy on busy.queue = lanes.queue and busy.tenant_id = lanes.tenant_id and busy.lane = lanes.lane
          left join busy_tenants tenant on tenant.queue = lanes.queue and tenant.tenant_id = lanes.tenant_id
        )
        select queue as "queue!", extract(epoch from engine_now() - min(run_at))::float8 as available,
          extract(epoch from engine_now() - min(since) filter (where not is_held))::float8 as runnable,
          extract(epoch from engine_now() - min(timed_at))::float8 as timed
        from (
          select queue, run_at, run_at as since, is_held, null::timestamptz as timed_at
          from held
          union all
          select queue, run_at, dispatched_at, false, null
          from jobs
          where state = 'available' and dispatched_at is not null
          union all
          (
            select queue, null, null, null, run_at
            from jobs
            where state in ('scheduled', 'retryable', 'suspended') and run_at <= engine_now() + make_interval(secs => $7)
            order by run_at
            limit $8
          )
        ) due
        group by queue
        "#,
        MAX_LANES,
        SUSPECT,
        &queues,
        &tenant as &[Option<i32>],
        &account as &[Option<i32>],
        &shared as &[Option<i32>],
        ahead.as_secs_f64(),
        MAX_TIMED
    )
    .fetch_all(&mut **tx)
    .await?;
    let waited = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let due = rows.into_iter().map(|row| {
        let due = Due { available: row.available.map(waited), runnable: row.runnable.map(waited), timed: row.timed };
        (row.queue, due)
    });
    Ok(due.collect())
}
