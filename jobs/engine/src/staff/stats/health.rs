//! Health of queues: finds queues whose work nobody consumes, even if a process is alive.

use std::{collections::BTreeMap, time::Duration};

use super::{list_running, list_workers, oldest_due, queues::plan_by_index};
use crate::{Tx, queues};

/// The time that due work may wait beside free slots while no job of the queue starts.
const PATIENCE: Duration = Duration::from_mins(1);

/// The reason why a queue's work is not consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Work is due and no live worker serves the queue.
    Nobody,
    /// Work is due and slots are free, but no job of the queue started within the last minute.
    Standstill,
}

/// The facts of a queue that decide on its health.
#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    is_paused: bool,
    has_limits: bool,
    oldest_due: Option<Duration>,
    slots: i64,
    running: i64,
    was_taken_lately: bool,
}

/// Finds the queues whose work is not consumed.
pub async fn find_troubles(tx: &mut Tx) -> Result<Vec<(String, Trouble)>, sqlx::Error> {
    plan_by_index(tx).await?;
    let mut slots: BTreeMap<String, i64> = BTreeMap::new();
    for worker in list_workers(tx).await?.into_iter().filter(|worker| worker.is_alive) {
        for (queue, count) in worker.queues.0 {
            *slots.entry(queue).or_default() += count;
        }
    }
    let mut running: BTreeMap<String, i64> = BTreeMap::new();
    for job in list_running(tx).await? {
        *running.entry(job.queue).or_default() += 1;
    }
    let mut troubles = Vec::new();
    for queue in queues::list(tx).await? {
        let signs = Signs {
            is_paused: queue.paused_at.is_some(),
            has_limits: queue.max_running.or(queue.max_per_tenant).or(queue.max_per_account).is_some(),
            oldest_due: oldest_due(tx, &queue.name).await?,
            slots: slots.get(&queue.name).copied().unwrap_or(0),
            running: running.get(&queue.name).copied().unwrap_or(0),
            was_taken_lately: was_taken_lately(tx, &queue.name).await?,
        };
        troubles.extend(judge(signs).map(|trouble| (queue.name, trouble)));
    }
    Ok(troubles)
}

fn judge(signs: Signs) -> Option<Trouble> {
    let oldest_due = signs.oldest_due?;
    if signs.is_paused {
        return None;
    }
    if signs.slots == 0 {
        return Some(Trouble::Nobody);
    }
    // Work that a limit holds back may wait.
    let is_held_back = signs.has_limits && signs.running > 0;
    let stands_still = oldest_due > PATIENCE && signs.running < signs.slots && !signs.was_taken_lately && !is_held_back;
    stands_still.then_some(Trouble::Standstill)
}

async fn was_taken_lately(tx: &mut Tx, queue: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select from jobs
          where state = 'executing' and queue = $1 and started_at > engine_now() - make_interval(secs => $2)
        ) or exists (
          select from job_history
          where ended_at > engine_now() - make_interval(secs => $2) and queue = $1
            and started_at > engine_now() - make_interval(secs => $2)
        ) or exists (
          -- One of the lane's jobs was taken, and snoozed by the queue's rate.
          select from resting_lanes
          where queue = $1 and until > engine_now()
        ) as "was_taken!"
        "#,
        queue,
        PATIENCE.as_secs_f64()
    )
    .fetch_one(&mut **tx)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Signs = Signs {
        is_paused: false,
        has_limits: false,
        oldest_due: Some(Duration::from_secs(61)),
        slots: 4,
        running: 0,
        was_taken_lately: false,
    };

    #[test]
    fn an_idle_or_paused_queue_is_well() {
        assert_eq!(judge(Signs::default()), None);
        assert_eq!(judge(Signs { is_paused: true, slots: 0, ..WAITS }), None);
    }

    #[test]
    fn due_work_that_nobody_listens_for_is_not_consumed() {
        let fresh = Signs { oldest_due: Some(Duration::ZERO), slots: 0, ..WAITS };
        assert_eq!(judge(fresh), Some(Trouble::Nobody));
    }

    #[test]
    fn work_that_waits_beside_free_slots_stands_still() {
        assert_eq!(judge(WAITS), Some(Trouble::Standstill));
        for well in [
            Signs { oldest_due: Some(Duration::from_secs(59)), ..WAITS },
            Signs { running: 4, ..WAITS },
            Signs { was_taken_lately: true, ..WAITS },
            Signs { has_limits: true, running: 1, ..WAITS },
        ] {
            assert_eq!(judge(well), None, "{well:?}");
        }
    }
}
