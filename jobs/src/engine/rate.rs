//! Rates: how many jobs of a queue may start a minute on one account, or, without an account, of one tenant.
//!
//! The generic cell rate algorithm, in Redis, so that all processes share one count. While Redis is away each process counts
//! by itself and takes its share, so that together they stay below the rate. The lane of a job that may not start rests: until
//! that is over nothing more of it is released, so that what waits costs nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::Script;

use super::{Cause, Claimed, Db, JobError, Window};

/// Redis is left alone for so long after it failed.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

/// So many lanes are remembered while Redis is away before those that may start again are forgotten.
const REMEMBERED: usize = 10_000;

/// Answers the microseconds to wait; 0: it may start, and is counted. The key holds the theoretical arrival time of the next
/// start, in microseconds of Redis' clock.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local wait = arrival - now - tolerance
if wait > 0 then
  return wait
end
arrival = arrival + interval
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
return 0
";

/// How many jobs of a lane may start at once: a tenth of a minute's.
pub(super) fn at_once(starts: i32) -> i32 {
    (starts / 10).max(1)
}

/// Jobs a minute, of which a tenth may start at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    interval: Duration,
    tolerance: Duration,
}

impl Rate {
    fn per_minute(starts: i32) -> Self {
        let interval = Duration::from_mins(1) / starts.max(1).unsigned_abs();
        Self { interval, tolerance: interval * (at_once(starts).unsigned_abs() - 1) }
    }

    /// The share of one process of several.
    fn share(self, processes: u32) -> Self {
        Self { interval: self.interval * processes.max(1), tolerance: Duration::ZERO }
    }
}

/// A start that a rate does not allow yet.
#[derive(Debug)]
pub struct RateLimited {
    /// How long the lane is to rest.
    pub(super) rest: Duration,
    /// What the job is told.
    pub(super) later: JobError,
}

/// Counts starts.
#[derive(Debug)]
pub struct Limiter {
    window: Window,
    script: Script,
    alone: Mutex<Alone>,
}

/// What a process counts by itself.
#[derive(Debug, Default)]
struct Alone {
    until: Option<Instant>,
    arrivals: HashMap<String, Instant>,
}

impl Limiter {
    /// A limiter that shares its counts through the Redis of `window`.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Self { window, script: Script::new(TAKE), alone: Mutex::default() }
    }

    /// Counts the start of a job.
    ///
    /// # Errors
    /// The rate is used up: see [`super::Engine::snooze`].
    pub async fn start(&self, db: &Db, job: &Claimed) -> Result<(), RateLimited> {
        let Some(starts) = job.max_per_minute else {
            return Ok(());
        };
        let rest = self.take(db, &format!("{}:{}", job.queue, job.lane()), Rate::per_minute(starts)).await;
        if rest.is_zero() {
            return Ok(());
        }
        let cause = Cause::plain("rate", format!("The queue {} starts {starts} jobs a minute here.", job.queue));
        Err(RateLimited { rest, later: JobError::Later(rest, cause) })
    }

    /// Answers how long the lane is to rest; zero: a job may start, and is counted.
    async fn take(&self, db: &Db, key: &str, rate: Rate) -> Duration {
        if !self.is_alone() {
            match self.window.rate(&self.script, key, rate.interval, rate.tolerance).await {
                Ok(wait) => {
                    self.rejoin();
                    // Until half of what may start at once is there again: one by one, each start would refuse others.
                    return if wait.is_zero() { wait } else { wait + rate.tolerance / 2 };
                }
                Err(error) => {
                    tracing::debug!(%error, "Redis is away: counting starts here");
                    self.alone.lock().unwrap_or_else(PoisonError::into_inner).until =
                        Some(Instant::now() + REDIS_PATIENCE);
                }
            }
        }
        // Who cannot count the others either starts nothing.
        match super::lease::count_live(db).await {
            Ok(processes) => self.take_alone(key, rate.share(processes), Instant::now()),
            Err(_) => rate.interval,
        }
    }

    fn is_alone(&self) -> bool {
        let alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        alone.until.is_some_and(|until| until > Instant::now())
    }

    /// Redis counts again: what was counted here means nothing any more.
    fn rejoin(&self) {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if alone.until.take().is_some() {
            alone.arrivals.clear();
        }
    }

    /// As the script does, on this process' clock. What was started before Redis went away is not known here, so the first
    /// start of a lane waits for one interval.
    fn take_alone(&self, key: &str, rate: Rate, now: Instant) -> Duration {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if alone.arrivals.len() >= REMEMBERED {
            alone.arrivals.retain(|_, arrival| *arrival > now);
        }
        let arrival = alone.arrivals.entry(key.to_owned()).or_insert(now + rate.interval);
        let wait = arrival.saturating_duration_since(now);
        if wait.is_zero() {
            *arrival = now + rate.interval;
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_a_minutes_jobs_may_start_at_once() {
        let rate = Rate::per_minute(60);
        assert_eq!((rate.interval, rate.tolerance), (Duration::from_secs(1), Duration::from_secs(5)));
        assert_eq!(Rate::per_minute(5).tolerance, Duration::ZERO);
    }

    #[tokio::test]
    async fn a_process_alone_takes_its_share() {
        let limiter = Limiter::new(Window::open("redis://127.0.0.1:1", "").unwrap());
        let share = Rate::per_minute(60).share(2);
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let waits: Vec<u64> =
            [0, 1, 2, 3, 4, 10, 10].map(|second| limiter.take_alone("posting:a", share, at(second)).as_secs()).to_vec();
        assert_eq!(waits, [2, 1, 0, 1, 0, 0, 2], "one in two seconds, and none saved up");
        assert_eq!(limiter.take_alone("posting:b", share, begin).as_secs(), 2, "lanes are counted apart");
    }
}
