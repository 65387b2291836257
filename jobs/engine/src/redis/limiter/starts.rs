//! Rates: how many jobs of a queue may start per minute on one account, or of one tenant without an
//! account.
//!
//! While Redis is away each process takes its share, so that together they stay below the rate. If
//! a job may not start, its lane rests: nothing more of it is released until the rest is over, so
//! that waiting costs nothing.

use std::time::{Duration, Instant};

use super::{Budget, Limiter, Unknown};
use crate::{Cause, CauseClass, Claimed, Db, JobError, lease};

/// Returns the number of jobs of a lane that may start at once: a tenth of the starts per minute.
pub(crate) fn at_once(starts: i32) -> i32 {
    (starts / 10).max(1)
}

/// A rate: one start per interval, and some at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    interval: Duration,
    /// The most intervals that are saved up.
    at_once: u32,
}

impl Rate {
    fn per_minute(starts: i32) -> Self {
        let interval = Duration::from_mins(1) / starts.max(1).unsigned_abs();
        Self { interval, at_once: at_once(starts).unsigned_abs() }
    }

    /// Returns the share of one of several processes.
    fn share(self, processes: u32) -> Self {
        Self { interval: self.interval * processes.max(1), at_once: 1 }
    }

    fn budget(self, lane: &str) -> Budget {
        Budget { key: format!("rate:{lane}"), interval: self.interval, window: self.interval * self.at_once }
    }
}

/// A start that a rate does not allow yet.
#[derive(Debug)]
pub struct RateLimited {
    /// The time that the lane has to rest.
    pub(crate) rest: Duration,
    /// The error that the job gets.
    pub(crate) later: JobError,
}

impl Limiter {
    /// Counts the start of a job.
    ///
    /// # Errors
    /// [`RateLimited`] if the rate is used up: pass it to [`crate::Engine::snooze`].
    pub async fn start(&self, db: &Db, job: &Claimed) -> Result<(), RateLimited> {
        let Some(starts) = job.max_per_minute else {
            return Ok(());
        };
        let rest = self.take_start(db, &format!("{}:{}", job.queue, job.lane), Rate::per_minute(starts)).await;
        if rest.is_zero() {
            return Ok(());
        }
        let cause =
            Cause::plain(CauseClass::Rate, format!("The queue {} starts {starts} jobs a minute here.", job.queue));
        Err(RateLimited { rest, later: JobError::Later(rest, cause) })
    }

    /// Takes a start and returns zero, or returns the time that the lane has to rest.
    async fn take_start(&self, db: &Db, lane: &str, rate: Rate) -> Duration {
        if let Some(levels) = self.take_shared(&[rate.budget(lane)]).await {
            let wait = levels[0].wait;
            // The lane rests until half of the starts at once are back. If it woke for each single
            // start, that start would refuse the others.
            return if wait.is_zero() { wait } else { wait + rate.interval * (rate.at_once - 1) / 2 };
        }
        // A process that cannot count the others starts nothing.
        match lease::count_live(db).await {
            Ok(processes) => self.take_start_alone(lane, rate.share(processes), Instant::now()),
            Err(_) => rate.interval,
        }
    }

    /// Takes a start without Redis. Starts from before are unknown here, so the first start of a
    /// lane waits for one interval.
    fn take_start_alone(&self, lane: &str, share: Rate, now: Instant) -> Duration {
        self.take_alone(&[share.budget(lane)], Unknown::Used, now)[0].wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Window;

    #[test]
    fn a_tenth_of_a_minutes_jobs_may_start_at_once() {
        let rate = Rate::per_minute(60);
        assert_eq!((rate.interval, rate.at_once), (Duration::from_secs(1), 6));
        assert_eq!(Rate::per_minute(5).at_once, 1);
    }

    #[tokio::test]
    async fn a_process_alone_takes_its_share() {
        let limiter = Limiter::new(Window::open("redis://127.0.0.1:1", "").unwrap());
        let share = Rate::per_minute(60).share(2);
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let waits: Vec<u64> = [0, 1, 2, 3, 4, 10, 10]
            .map(|second| limiter.take_start_alone("posting:a", share, at(second)).as_secs())
            .to_vec();
        assert_eq!(waits, [2, 1, 0, 1, 0, 0, 2], "one in two seconds, and none saved up");
        assert_eq!(limiter.take_start_alone("posting:b", share, begin).as_secs(), 2, "lanes are counted apart");
    }
}
