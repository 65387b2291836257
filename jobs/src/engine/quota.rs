//! Quotas: how much somebody may ask in a time.
//!
//! The generic cell rate algorithm: all of it may come at once, and then comes back evenly, one by one. Counted in Redis, so
//! that all processes share one count, in one round trip however many quotas a request is counted by. While Redis is away each
//! process counts by itself; nobody waits for Redis for long, and nobody is refused because it is away.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::Script;

use super::Window;

/// Nobody waits longer for Redis.
const REDIS_TIME: Duration = Duration::from_millis(250);

/// Redis is left alone for so long after it failed.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

/// So many counts are remembered while Redis is away before those that are whole again are forgotten.
const REMEMBERED: usize = 10_000;

/// Answers for each quota how long to wait, and how long until it is whole again. Only if none says to wait is anything counted.
/// A key holds when its quota is whole again, in microseconds of Redis' clock.
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

/// So many requests of somebody in a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// What sort of quota it is.
    pub name: &'static str,
    /// Who is counted.
    pub whose: String,
    /// How many requests.
    pub requests: NonZeroU32,
    /// In what time.
    pub window: Duration,
}

impl Quota {
    fn key(&self) -> String {
        format!("quota:{}:{}", self.name, self.whose)
    }

    fn interval(&self) -> Duration {
        self.window / self.requests.get()
    }

    fn left(&self, full_in: Duration) -> Left {
        let free = self.window.saturating_sub(full_in);
        let requests = free.as_nanos() / self.interval().as_nanos().max(1);
        Left { requests: u32::try_from(requests).unwrap_or(u32::MAX).min(self.requests.get()), full_in }
    }
}

/// What is left of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// So many requests now.
    pub requests: u32,
    /// It is whole again after this.
    pub full_in: Duration,
}

/// What became of a request for one of each quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How long to wait; zero: it was counted.
    pub wait: Duration,
    /// What is left of each, in their order.
    pub left: Vec<Left>,
}

/// Counts requests.
#[derive(Debug)]
pub struct Quotas {
    window: Window,
    script: Script,
    alone: Mutex<Alone>,
}

/// What a process counts by itself.
#[derive(Debug, Default)]
struct Alone {
    until: Option<Instant>,
    whole: HashMap<String, Instant>,
}

impl Quotas {
    /// Quotas whose counts are shared through the Redis of `window`.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Self { window, script: Script::new(TAKE), alone: Mutex::default() }
    }

    /// Takes one of each quota, or of none.
    pub async fn take(&self, quotas: &[Quota]) -> Taken {
        if !self.is_alone() {
            let keys: Vec<(String, Duration, Duration)> =
                quotas.iter().map(|quota| (quota.key(), quota.interval(), quota.window)).collect();
            match tokio::time::timeout(REDIS_TIME, self.window.take(&self.script, &keys)).await {
                Ok(Ok(answers)) => {
                    self.rejoin();
                    let wait = answers.iter().map(|(wait, _)| *wait).max().unwrap_or_default();
                    let left = quotas.iter().zip(&answers).map(|(quota, (_, full_in))| quota.left(*full_in)).collect();
                    return Taken { wait, left };
                }
                Ok(Err(error)) => self.leave(&error),
                Err(elapsed) => self.leave(&elapsed),
            }
        }
        self.take_alone(quotas, Instant::now())
    }

    fn is_alone(&self) -> bool {
        let alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        alone.until.is_some_and(|until| until > Instant::now())
    }

    fn leave(&self, why: &dyn std::error::Error) {
        tracing::debug!(%why, "Redis is away: counting requests here");
        self.alone.lock().unwrap_or_else(PoisonError::into_inner).until = Some(Instant::now() + REDIS_PATIENCE);
    }

    /// Redis counts again: what was counted here means nothing any more.
    fn rejoin(&self) {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if alone.until.take().is_some() {
            alone.whole.clear();
        }
    }

    /// As the script does, on this process' clock.
    fn take_alone(&self, quotas: &[Quota], now: Instant) -> Taken {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if alone.whole.len() >= REMEMBERED {
            alone.whole.retain(|_, whole| *whole > now);
        }
        let full_in = |alone: &Alone, quota: &Quota| {
            alone.whole.get(&quota.key()).map_or(Duration::ZERO, |whole| whole.saturating_duration_since(now))
        };
        let wait = |quota: &Quota| (full_in(&alone, quota) + quota.interval()).saturating_sub(quota.window);
        let wait = quotas.iter().map(wait).max().unwrap_or_default();
        if wait.is_zero() {
            for quota in quotas {
                let whole = now + full_in(&alone, quota) + quota.interval();
                alone.whole.insert(quota.key(), whole);
            }
        }
        Taken { wait, left: quotas.iter().map(|quota| quota.left(full_in(&alone, quota))).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(whose: &str, requests: u32) -> Quota {
        let requests = NonZeroU32::new(requests).unwrap();
        Quota { name: "tenant", whose: whose.to_owned(), requests, window: Duration::from_mins(1) }
    }

    #[tokio::test]
    async fn all_may_come_at_once_and_comes_back_one_by_one() {
        let quotas = Quotas::new(Window::open("redis://127.0.0.1:1", "").unwrap());
        let begin = Instant::now();
        let take = |seconds| {
            let taken = quotas.take_alone(&[quota("a", 3)], begin + Duration::from_secs(seconds));
            (taken.wait.as_secs(), taken.left[0].requests)
        };
        let taken: Vec<(u64, u32)> = [0, 0, 0, 0, 5, 20, 20, 80].map(take).to_vec();
        assert_eq!(taken, [(0, 2), (0, 1), (0, 0), (20, 0), (15, 0), (0, 0), (20, 0), (0, 2)]);
    }

    #[tokio::test]
    async fn what_one_quota_refuses_is_not_counted_by_another() {
        let quotas = Quotas::new(Window::open("redis://127.0.0.1:1", "").unwrap());
        let (small, large) = (quota("small", 1), quota("large", 2));
        let now = Instant::now();
        let both = [small, large.clone()];
        assert!(quotas.take_alone(&both, now).wait.is_zero());
        assert_eq!(quotas.take_alone(&both, now).wait, Duration::from_mins(1));
        assert!(quotas.take_alone(std::slice::from_ref(&large), now).wait.is_zero());
        assert_eq!(quotas.take_alone(&[large], now).wait, Duration::from_secs(30));
    }

    #[tokio::test]
    async fn nobody_is_refused_because_redis_is_away() {
        let quotas = Quotas::new(Window::open("redis://127.0.0.1:1", "").unwrap());
        let taken = quotas.take(&[quota("a", 2)]).await;
        assert_eq!((taken.wait, taken.left[0].requests), (Duration::ZERO, 1));
    }
}
