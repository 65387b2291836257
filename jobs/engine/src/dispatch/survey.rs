//! The state and the limits of each queue, read once per pass of the dispatcher.

use crate::{Tx, redis::at_once, run::SUSPECT};

/// The most jobs of a queue that may be running or released at once. `None`: limited only by slots.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// The limit of the whole queue.
    pub max_running: Option<i32>,
    /// The limit of each tenant.
    pub max_per_tenant: Option<i32>,
    /// The limit of each account, or of a tenant's jobs without an account.
    pub max_per_account: Option<i32>,
    /// The limit of the whole queue for tenants that run a job already.
    pub max_shared: Option<i32>,
}

impl QueueLimits {
    /// Returns true if at least one limit is set.
    #[must_use]
    pub fn are_set(&self) -> bool {
        *self != Self::default()
    }

    /// Returns the limits of a queue whose tenants share `slots`: none holds more than half, and
    /// the last tenth is for tenants that run nothing. Hanging calls of one tenant hold up no
    /// other.
    #[must_use]
    pub fn sharing(self, slots: usize) -> Self {
        let slots = i32::try_from(slots).unwrap_or(i32::MAX);
        let half = (slots / 2).max(1);
        Self {
            max_per_tenant: Some(self.max_per_tenant.map_or(half, |most| most.min(half))),
            max_shared: Some(slots - (slots / 10).max(1)),
            ..self
        }
    }
}

/// A queue as the dispatcher sees it.
#[derive(Debug, Clone)]
pub struct QueueState {
    /// The queue's name.
    pub name: String,
    /// True if no job of it is to start.
    pub is_paused: bool,
    /// The limits that operators set.
    pub limits: QueueLimits,
    /// True if tenants share its slots: see [`QueueLimits::sharing`].
    pub shares_slots: bool,
    /// The most jobs of one lane that may start at once, if the queue has a rate.
    pub at_once: Option<i32>,
    /// The number of jobs that are marked as released.
    pub marked: usize,
    /// The number of jobs that run.
    pub executing: usize,
    /// The number of running jobs that crashed before and so run alone, or wait to: they take no
    /// slot.
    pub alone: usize,
    /// The priorities that have jobs to release, the highest first.
    pub waiting: Vec<i16>,
}

/// Reads the state of all queues.
pub async fn survey(tx: &mut Tx) -> Result<Vec<QueueState>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select q.name, q.paused_at is not null as "is_paused!", q.max_running, q.max_per_tenant, q.max_per_account,
          q.max_per_minute, q.shares_slots,
          (
            select count(*) from jobs where queue = q.name and state = 'available' and dispatched_at is not null
          ) as "marked!",
          coalesce(running.executing, 0) as "executing!", coalesce(running.alone, 0) as "alone!",
          array(
            select priority
            from (values (0::smallint), (1), (2), (3)) as known (priority)
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
                max_shared: None,
            },
            shares_slots: row.shares_slots,
            at_once: row.max_per_minute.map(at_once),
            marked: usize::try_from(row.marked).unwrap_or(0),
            executing: usize::try_from(row.executing).unwrap_or(0),
            alone: usize::try_from(row.alone).unwrap_or(0),
            waiting: row.waiting,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_has_more_than_half_and_a_tenth_is_kept() {
        let shared = |slots| {
            let limits = QueueLimits::default().sharing(slots);
            (limits.max_per_tenant, limits.max_shared)
        };
        assert_eq!(shared(20), (Some(10), Some(18)));
        assert_eq!(shared(5), (Some(2), Some(4)));
        assert_eq!(shared(2), (Some(1), Some(1)));
        assert_eq!(shared(1), (Some(1), Some(0)), "whoever runs nothing may have it");
        let strict = QueueLimits { max_per_tenant: Some(3), ..QueueLimits::default() };
        assert_eq!(strict.sharing(20).max_per_tenant, Some(3));
    }
}
