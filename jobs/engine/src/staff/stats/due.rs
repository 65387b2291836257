//! Work that is due by the clock, whether or not it is promoted.

use std::{collections::BTreeMap, time::Duration};

use crate::{Tx, dispatch::QueueLimits, run::SUSPECT};

/// The most lanes of a queue whose oldest job is read.
const MAX_LANES: i32 = 5_000;

/// The most jobs with a time that are read, the earliest first. Jobs behind them are due later.
/// They are read once the earlier ones are promoted; if those are not promoted, they are overdue
/// themselves.
const MAX_TIMED: i64 = 10_000;

/// Returns the time that the oldest due job of each queue has waited, promoted or not. Queues
/// without due work are left out. Reads the first job of each lane, of at most 5,000 lanes per
/// queue.
pub async fn oldest_due(tx: &mut Tx) -> Result<BTreeMap<String, Duration>, sqlx::Error> {
    let mut oldest = oldest_available(tx, None).await?;
    for (queue, overdue) in earliest_timed(tx, Duration::ZERO).await? {
        let overdue = Duration::try_from_secs_f64(overdue).unwrap_or_default();
        let known = oldest.entry(queue).or_default();
        *known = overdue.max(*known);
    }
    Ok(oldest)
}

/// Returns the time that the oldest available job of each queue has waited. Given limits, leaves
/// out lanes that a limit, a rest or a park holds back, and counts released jobs from their
/// release.
#[expect(clippy::too_many_lines, reason = "one statement")]
pub(super) async fn oldest_available(
    tx: &mut Tx,
    limits: Option<&BTreeMap<String, QueueLimits>>,
) -> Result<BTreeMap<String, Duration>, sqlx::Error> {
    let runnable = limits.is_some();
    let limits: Vec<(&String, &QueueLimits)> = limits.into_iter().flatten().collect();
    let queues: Vec<String> = limits.iter().map(|(queue, _)| (*queue).clone()).collect();
    let tenant: Vec<Option<i32>> = limits.iter().map(|(_, limits)| limits.max_per_tenant).collect();
    let account: Vec<Option<i32>> = limits.iter().map(|(_, limits)| limits.max_per_account).collect();
    let shared: Vec<Option<i32>> = limits.iter().map(|(_, limits)| limits.max_shared).collect();
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
          left join unnest($4::text[], $5::int[], $6::int[], $7::int[]) as max (queue, tenant, account, shared)
            on max.queue = lanes.queue
          left join busy on busy.queue = lanes.queue and busy.tenant_id = lanes.tenant_id and busy.lane = lanes.lane
          left join busy_tenants tenant on tenant.queue = lanes.queue and tenant.tenant_id = lanes.tenant_id
        )
        select queue as "queue!", extract(epoch from engine_now() - min(since))::float8 as "seconds!"
        from (
          select queue, run_at as since from held where not ($3 and is_held)
          union all
          select queue, case when $3 then dispatched_at else run_at end
          from jobs
          where state = 'available' and dispatched_at is not null
        ) due
        group by queue
        "#,
        MAX_LANES,
        SUSPECT,
        runnable,
        &queues,
        &tenant as &[Option<i32>],
        &account as &[Option<i32>],
        &shared as &[Option<i32>]
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.queue, Duration::try_from_secs_f64(row.seconds).unwrap_or_default())).collect())
}

/// Returns the seconds that the earliest job with a time has been due in each queue. Negative
/// seconds are those until a job that is due within `ahead`.
pub(super) async fn earliest_timed(tx: &mut Tx, ahead: Duration) -> Result<BTreeMap<String, f64>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select queue, extract(epoch from engine_now() - min(run_at))::float8 as "seconds!"
        from (
          select queue, run_at
          from jobs
          where state in ('scheduled', 'retryable', 'suspended') and run_at <= engine_now() + make_interval(secs => $1)
          order by run_at
          limit $2
        ) timed
        group by queue
        "#,
        ahead.as_secs_f64(),
        MAX_TIMED
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.queue, row.seconds)).collect())
}
