//! What each queue has and may have: read once a pass.

use crate::{Tx, redis::at_once, run::SUSPECT};

/// How many jobs of a queue may run or be about to; `None`: as many as there are slots.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Altogether.
    pub max_running: Option<i32>,
    /// Of one tenant.
    pub max_per_tenant: Option<i32>,
    /// On one account, or without one of one tenant.
    pub max_per_account: Option<i32>,
}

impl QueueLimits {
    /// Whether there is any.
    #[must_use]
    pub fn are_set(&self) -> bool {
        *self != Self::default()
    }
}

/// A queue as the dispatcher sees it.
#[derive(Debug, Clone)]
pub struct QueueState {
    /// Its name.
    pub name: String,
    /// Nothing of it is to start.
    pub is_paused: bool,
    /// What operators allow.
    pub limits: QueueLimits,
    /// Jobs of one lane that may start at once, if the queue has a rate.
    pub at_once: Option<i32>,
    /// Jobs that are written down as released.
    pub marked: usize,
    /// Jobs that run.
    pub executing: usize,
    /// Those of them that run alone, or wait to: they take no slot.
    pub alone: usize,
    /// Priorities of which something waits to be released, the highest first.
    pub waiting: Vec<i16>,
}

/// Reads the state of all queues.
pub async fn survey(tx: &mut Tx) -> Result<Vec<QueueState>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select q.name, q.paused_at is not null as "is_paused!", q.max_running, q.max_per_tenant, q.max_per_account,
          q.max_per_minute,
          (
            select count(*) from jobs where queue = q.name and state = 'available' and dispatched_at is not null
          ) as "marked!",
          coalesce(running.executing, 0) as "executing!", coalesce(running.alone, 0) as "alone!",
          array(
            select priority
            from (values (1::smallint), (2), (3)) as known (priority)
            where (
              select true
              from jobs j
              where j.queue = q.name and j.priority = known.priority
                and j.state = 'available' and j.dispatched_at is null
              order by j.tenant_id, j.lane, j.run_at, j.id
              limit 1
            )
            order by priority
          ) as "waiting!: Vec<i16>"
        from queues q
        left join (
          select queue, count(*) as executing, count(*) filter (where crashes >= $1) as alone
          from jobs
          where state = 'executing'
          group by queue
        ) running on running.queue = q.name
        "#,
        SUSPECT
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| QueueState {
            name: row.name,
            is_paused: row.is_paused,
            limits: QueueLimits {
                max_running: row.max_running,
                max_per_tenant: row.max_per_tenant,
                max_per_account: row.max_per_account,
            },
            at_once: row.max_per_minute.map(at_once),
            marked: usize::try_from(row.marked).unwrap_or(0),
            executing: usize::try_from(row.executing).unwrap_or(0),
            alone: usize::try_from(row.alone).unwrap_or(0),
            waiting: row.waiting,
        })
        .collect())
}
