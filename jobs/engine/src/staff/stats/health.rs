//! Health of queues: finds queues whose work nobody consumes, even if a process is alive.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use super::due::find_due;
use crate::{
    Tx,
    dispatch::QueueLimits,
    staff::plans::{self, Plans},
};

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
    plans::choose(tx, Plans::InOrder).await?;
    Ok(check_queues(tx).await?.0)
}

/// Finds the queues whose work is not consumed, and the time that the oldest due job of each queue
/// has waited, with plans in order.
pub(super) async fn check_queues(
    tx: &mut Tx,
) -> Result<(Vec<(String, Trouble)>, BTreeMap<String, Duration>), sqlx::Error> {
    let queues = list_served(tx).await?;
    let limits = queues.iter().map(|queue| (queue.name.clone(), queue.limits())).collect();
    let due = find_due(tx, &limits, SOON).await?;
    let mut found = Vec::new();
    for queue in queues {
        let due = due.get(&queue.name).copied().unwrap_or_default();
        let signs = Signs {
            is_paused: queue.is_paused,
            runnable: due.runnable,
            timed: due.timed,
            is_not_led: queue.is_not_led(),
            slots: queue.slots,
            running: queue.running,
            max_running: queue.max_running,
        };
        found.extend(judge(signs).map(|trouble| (queue.name, trouble, signs.patience())));
    }
    let taken = list_taken_lately(tx, &found).await?;
    let troubles = found.into_iter().filter(|(queue, _, _)| !taken.contains(queue));
    let oldest = due.into_iter().filter_map(|(queue, due)| Some((queue, due.oldest()?)));
    Ok((troubles.map(|(queue, trouble, _)| (queue, trouble)).collect(), oldest.collect()))
}

/// A queue with the live workers that serve it.
struct ServedQueue {
    name: String,
    is_paused: bool,
    max_running: Option<i32>,
    max_per_tenant: Option<i32>,
    max_per_account: Option<i32>,
    shares_slots: bool,
    slots: i64,
    running: i64,
    /// The seconds since somebody promoted. Without a leader due work shows it.
    promoted_seconds: Option<f64>,
}

impl ServedQueue {
    fn limits(&self) -> QueueLimits {
        let limits = QueueLimits {
            max_running: self.max_running,
            max_per_tenant: self.max_per_tenant,
            max_per_account: self.max_per_account,
            max_shared: None,
        };
        if self.shares_slots { limits.sharing(usize::try_from(self.slots).unwrap_or(0)) } else { limits }
    }

    /// Returns true if nobody has promoted for a minute. A time in the future dates from before a
    /// step of the clock.
    fn is_not_led(&self) -> bool {
        self.promoted_seconds.is_some_and(|seconds| seconds.abs() > PATIENCE.as_secs_f64())
    }
}

/// Lists the queues by name, with the slots and running jobs of live workers.
async fn list_served(tx: &mut Tx) -> Result<Vec<ServedQueue>, sqlx::Error> {
    sqlx::query_as!(
        ServedQueue,
        r#"
        with live as (
          select id, queues from workers where clock_timestamp() between renewed_at and expires_at
        ),
        slots as (
          select queue, sum(count::bigint)::bigint as count
          from live
          cross join lateral jsonb_each_text(queues) as served (queue, count)
          group by queue
        ),
        running as (
          select queue, count(*)
          from jobs
          where state = 'executing' and worker_id in (select id from live)
          group by queue
        )
        select name, paused_at is not null as "is_paused!", max_running, max_per_tenant, max_per_account, shares_slots,
          coalesce(slots.count, 0) as "slots!", coalesce(running.count, 0) as "running!",
          (
            select extract(epoch from clock_timestamp() - promoted_at)::float8 from leadership where name = 'dispatcher'
          ) as promoted_seconds
        from queues
        left join slots on slots.queue = name
        left join running on running.queue = name
        order by name
        "#
    )
    .fetch_all(&mut **tx)
    .await
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

/// Returns those queues that seem to stand still and of which a job was taken within their patience.
async fn list_taken_lately(tx: &mut Tx, found: &[(String, Trouble, Duration)]) -> Result<HashSet<String>, sqlx::Error> {
    let still = found.iter().filter(|(_, trouble, _)| *trouble == Trouble::Standstill);
    let (queues, seconds): (Vec<String>, Vec<f64>) =
        still.map(|(queue, _, patience)| (queue.clone(), patience.as_secs_f64())).unzip();
    if queues.is_empty() {
        return Ok(HashSet::new());
    }
    let taken = sqlx::query_scalar!(
        r#"
        select queue as "queue!"
        from unnest($1::text[], $2::float8[]) as given (queue, seconds)
        cross join lateral (
          select engine_now() - make_interval(secs => seconds) as since
        ) patience
        where exists (
          select from jobs where state = 'executing' and queue = given.queue and started_at > since
        ) or exists (
          select from job_history where ended_at > since and queue = given.queue and started_at > since
        ) or exists (
          -- One of the lane's jobs was taken, and snoozed by the queue's rate.
          select from resting_lanes where queue = given.queue and until > engine_now()
        )
        "#,
        &queues,
        &seconds
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(taken.into_iter().collect())
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
