//! Health of queues: finds queues whose work nobody consumes, even if a process is alive.

use std::{collections::BTreeMap, time::Duration};

use super::{
    due::{earliest_timed, oldest_available},
    list_running, list_workers,
    queues::plan_by_index,
};
use crate::{Tx, dispatch::QueueLimits, queues};

/// The time that work may wait while slots are free and no job of the queue starts. Also the time
/// that due work may wait to be promoted.
const PATIENCE: Duration = Duration::from_mins(1);

/// The same time if no slot is free: attempts may take that long.
const PATIENCE_WITHOUT_SLOTS: Duration = Duration::from_mins(5);

/// The time ahead in which work needs a live worker already.
const SOON: Duration = Duration::from_mins(5);

/// The reason why a queue's work is not consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Work is due, now or soon, and no live worker serves the queue.
    Nobody,
    /// No worker promotes due work.
    NotPromoted,
    /// Work waits that nothing holds back, and no job of the queue started lately.
    Standstill,
}

/// The facts of a queue that decide on its health.
#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    is_paused: bool,
    /// The time that the oldest available job has waited that nothing holds back.
    runnable: Option<Duration>,
    /// The seconds that the earliest job with a time has been due; negative before its time.
    timed: Option<f64>,
    /// True if nobody has promoted for a minute.
    is_not_led: bool,
    slots: i64,
    running: i64,
    max_running: Option<i32>,
}

impl Signs {
    fn patience(self) -> Duration {
        if self.running < self.slots { PATIENCE } else { PATIENCE_WITHOUT_SLOTS }
    }
}

/// Finds the queues whose work is not consumed.
pub async fn find_troubles(tx: &mut Tx) -> Result<Vec<(String, Trouble)>, sqlx::Error> {
    plan_by_index(tx).await?;
    let is_not_led = is_not_led(tx).await?;
    let workers: Vec<_> = list_workers(tx).await?.into_iter().filter(|worker| worker.is_alive).collect();
    let mut running: BTreeMap<String, i64> = BTreeMap::new();
    for job in list_running(tx).await?.into_iter().filter(|job| workers.iter().any(|worker| worker.id == job.worker_id))
    {
        *running.entry(job.queue).or_default() += 1;
    }
    let mut slots: BTreeMap<String, i64> = BTreeMap::new();
    for (queue, count) in workers.into_iter().flat_map(|worker| worker.queues.0) {
        *slots.entry(queue).or_default() += count;
    }
    let queues = queues::list(tx).await?;
    let of = |counts: &BTreeMap<String, i64>, queue: &str| counts.get(queue).copied().unwrap_or(0);
    let limits: BTreeMap<String, QueueLimits> =
        queues.iter().map(|queue| (queue.name.clone(), queue.limits(of(&slots, &queue.name)))).collect();
    let runnable = oldest_available(tx, Some(&limits)).await?;
    let timed = earliest_timed(tx, SOON).await?;
    let mut troubles = Vec::new();
    for queue in queues {
        let signs = Signs {
            is_paused: queue.paused_at.is_some(),
            runnable: runnable.get(&queue.name).copied(),
            timed: timed.get(&queue.name).copied(),
            is_not_led,
            slots: of(&slots, &queue.name),
            running: of(&running, &queue.name),
            max_running: queue.max_running,
        };
        match judge(signs) {
            Some(Trouble::Standstill) if was_taken_lately(tx, &queue.name, signs.patience()).await? => {}
            Some(trouble) => troubles.push((queue.name, trouble)),
            None => {}
        }
    }
    Ok(troubles)
}

/// Names the trouble that the signs show. A standstill is one only if no job started lately either.
fn judge(signs: Signs) -> Option<Trouble> {
    if signs.is_paused || (signs.runnable.is_none() && signs.timed.is_none()) {
        return None;
    }
    if signs.slots == 0 {
        return Some(Trouble::Nobody);
    }
    if signs.is_not_led || signs.timed.is_some_and(|overdue| overdue > PATIENCE.as_secs_f64()) {
        return Some(Trouble::NotPromoted);
    }
    let is_held_back = signs.max_running.is_some_and(|most| signs.running >= i64::from(most));
    let stands_still = signs.runnable.is_some_and(|waited| waited > signs.patience()) && !is_held_back;
    stands_still.then_some(Trouble::Standstill)
}

/// Returns true if nobody has promoted for a minute. A time in the future dates from before a step
/// of the clock.
async fn is_not_led(tx: &mut Tx) -> Result<bool, sqlx::Error> {
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from clock_timestamp() - promoted_at)::float8 as "seconds!"
        from leadership
        where name = 'dispatcher'
        "#
    )
    .fetch_optional(&mut **tx)
    .await?;
    // Without a leader due work shows it.
    Ok(seconds.is_some_and(|seconds| seconds.abs() > PATIENCE.as_secs_f64()))
}

async fn was_taken_lately(tx: &mut Tx, queue: &str, within: Duration) -> Result<bool, sqlx::Error> {
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
        within.as_secs_f64()
    )
    .fetch_one(&mut **tx)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Signs = Signs {
        is_paused: false,
        runnable: Some(Duration::from_secs(61)),
        timed: None,
        is_not_led: false,
        slots: 4,
        running: 0,
        max_running: None,
    };

    #[test]
    fn an_idle_or_paused_queue_is_well() {
        assert_eq!(judge(Signs { is_not_led: true, ..Signs::default() }), None);
        assert_eq!(judge(Signs { is_paused: true, slots: 0, ..WAITS }), None);
    }

    #[test]
    fn work_that_nobody_listens_for_is_not_consumed() {
        let fresh = Signs { runnable: Some(Duration::ZERO), slots: 0, ..WAITS };
        assert_eq!(judge(fresh), Some(Trouble::Nobody));
        for seconds in [-299.0, 0.0, 4_000.0] {
            let timed = Signs { timed: Some(seconds), slots: 0, ..Signs::default() };
            assert_eq!(judge(timed), Some(Trouble::Nobody), "{seconds}");
        }
    }

    #[test]
    fn due_work_that_nobody_promotes_is_not_consumed() {
        let timed = |seconds| Signs { runnable: None, timed: Some(seconds), running: 3, ..WAITS };
        assert_eq!(judge(timed(61.0)), Some(Trouble::NotPromoted));
        assert_eq!(judge(timed(59.0)), None);
        assert_eq!(judge(Signs { is_not_led: true, ..timed(-100.0) }), Some(Trouble::NotPromoted));
    }

    #[test]
    fn work_that_nothing_holds_back_and_nobody_takes_stands_still() {
        assert_eq!(judge(WAITS), Some(Trouble::Standstill));
        assert_eq!(judge(Signs { running: 1, ..WAITS }), Some(Trouble::Standstill), "one hanging job hides nothing");
        let full = Signs { running: 4, ..WAITS };
        assert_eq!(judge(full), None, "attempts may take that long");
        assert_eq!(judge(Signs { runnable: Some(Duration::from_secs(301)), ..full }), Some(Trouble::Standstill));
        for well in [
            Signs { runnable: Some(Duration::from_secs(59)), ..WAITS },
            Signs { max_running: Some(1), running: 1, ..WAITS },
        ] {
            assert_eq!(judge(well), None, "{well:?}");
        }
    }
}
