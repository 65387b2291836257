//! Rate limits: how many requests a caller may make, and how many jobs may start.
//!
//! They use the generic cell rate algorithm: a whole budget may be taken at once and then refills
//! evenly, one by one. Budgets are counted in Redis, so that all processes share one count, in one
//! round trip for any number of budgets. While Redis is away each process counts by itself.

mod requests;
mod starts;

use std::{
    collections::HashMap,
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{RedisResult, Script};

use super::Window;

pub use self::{
    requests::{Left, Quota, Taken},
    starts::RateLimited,
};
pub(crate) use starts::at_once;

/// The time that Redis is not asked after it failed.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

/// The number of remembered budgets at which full ones are forgotten, while Redis is away.
const REMEMBERED: usize = 10_000;

/// The script that takes one of each budget. It returns for each budget the wait and the time until
/// it is full. It only counts if no budget requires a wait. A key holds the time at which its
/// budget is full, in microseconds of Redis' clock.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local whole, waits, is_refused = {}, {}, false
for i, key in ipairs(KEYS) do
  local interval, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  whole[i] = math.max(tonumber(redis.call('GET', key) or now), now)
  waits[i] = math.max(whole[i] + interval - now - window, 0)
  is_refused = is_refused or waits[i] > 0
end
local answer = {}
for i, key in ipairs(KEYS) do
  if not is_refused then
    whole[i] = whole[i] + tonumber(ARGV[2 * i - 1])
    redis.call('SET', key, string.format('%.0f', whole[i]), 'PX', math.ceil((whole[i] - now) / 1000) + 1)
  end
  answer[2 * i - 1] = math.ceil(waits[i])
  answer[2 * i] = math.ceil(whole[i] - now)
end
return answer
";

/// A budget that refills over time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Budget {
    key: String,
    /// The time in which one comes back.
    interval: Duration,
    /// The time in which all of it comes back.
    window: Duration,
}

/// The level of a budget after one was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    /// The wait until one may be taken.
    wait: Duration,
    /// The time until it is full.
    full_in: Duration,
}

/// The assumption about an unknown budget of a process that counts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// The budget is full.
    Whole,
    /// The budget lacks one, which another process may just have taken.
    Used,
}

/// The rate limiter. It takes one of each budget, or of none, and returns how long to wait.
#[derive(Debug)]
pub struct Limiter {
    window: Window,
    script: Script,
    alone: Mutex<Alone>,
}

/// The counts of a process that counts by itself.
#[derive(Debug, Default)]
struct Alone {
    until: Option<Instant>,
    whole: HashMap<String, Instant>,
}

impl Limiter {
    /// Makes a limiter that shares its counts through the Redis of `window`.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Self { window, script: Script::new(TAKE), alone: Mutex::default() }
    }

    /// Takes through Redis. Returns `None` while it is away.
    async fn take_shared(&self, budgets: &[Budget]) -> Option<Vec<Level>> {
        if self.alone().until.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        match self.call(budgets).await {
            Ok(levels) => {
                self.rejoin();
                Some(levels)
            }
            Err(error) => {
                self.leave(&error);
                None
            }
        }
    }

    async fn call(&self, budgets: &[Budget]) -> RedisResult<Vec<Level>> {
        let mut call = self.script.prepare_invoke();
        for budget in budgets {
            call.key(format!("{}{}", self.window.prefix, budget.key));
            call.arg(microseconds(budget.interval)).arg(microseconds(budget.window));
        }
        let answers: Vec<u64> = call.invoke_async(&mut self.window.shared.clone()).await?;
        let (pairs, _) = answers.as_chunks::<2>();
        let level = |[wait, full_in]: &[u64; 2]| Level {
            wait: Duration::from_micros(*wait),
            full_in: Duration::from_micros(*full_in),
        };
        Ok(pairs.iter().map(level).collect())
    }

    fn alone(&self) -> MutexGuard<'_, Alone> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, why: &dyn Error) {
        tracing::debug!(%why, "Redis is away: counting here");
        self.alone().until = Some(Instant::now() + REDIS_PATIENCE);
    }

    /// Ends counting alone. The local counts mean nothing once Redis counts again.
    fn rejoin(&self) {
        let mut alone = self.alone();
        if alone.until.take().is_some() {
            alone.whole.clear();
        }
    }

    /// Takes like the script, on this process' clock.
    fn take_alone(&self, budgets: &[Budget], unknown: Unknown, now: Instant) -> Vec<Level> {
        let mut alone = self.alone();
        if alone.whole.len() >= REMEMBERED {
            alone.whole.retain(|_, whole| *whole > now);
        }
        let mut levels: Vec<Level> = budgets.iter().map(|budget| alone.level(budget, unknown, now)).collect();
        if levels.iter().all(|level| level.wait.is_zero()) {
            for (budget, level) in budgets.iter().zip(&mut levels) {
                level.full_in += budget.interval;
                alone.whole.insert(budget.key.clone(), now + level.full_in);
            }
        }
        levels
    }
}

impl Alone {
    fn level(&mut self, budget: &Budget, unknown: Unknown, now: Instant) -> Level {
        let at_first = match unknown {
            Unknown::Whole => now,
            Unknown::Used => now + budget.interval,
        };
        let whole = self.whole.entry(budget.key.clone()).or_insert(at_first);
        let full_in = whole.saturating_duration_since(now);
        Level { wait: (full_in + budget.interval).saturating_sub(budget.window), full_in }
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
