//! Quotas: how many requests a caller may make per period. No request waits long for Redis, and
//! none is refused because Redis is away.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use super::{Budget, Level, Limiter, Unknown};

/// The longest wait for Redis.
const REDIS_TIME: Duration = Duration::from_millis(250);

/// A quota of requests of one caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The sort of quota.
    pub name: &'static str,
    /// The caller that is counted.
    pub whose: String,
    /// The number of requests.
    pub requests: NonZeroU32,
    /// The period.
    pub window: Duration,
}

impl Quota {
    fn budget(&self) -> Budget {
        let key = format!("quota:{}:{}", self.name, self.whose);
        Budget { key, interval: self.interval(), window: self.window }
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

/// The rest of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The requests that may be made now.
    pub requests: u32,
    /// The time until the quota is full.
    pub full_in: Duration,
}

/// The result of taking one request of each quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The time to wait. Zero: the request was counted.
    pub wait: Duration,
    /// The rest of each quota, in their order.
    pub left: Vec<Left>,
}

impl Limiter {
    /// Takes one of each quota, or of none.
    pub async fn take(&self, quotas: &[Quota]) -> Taken {
        let budgets: Vec<Budget> = quotas.iter().map(Quota::budget).collect();
        match tokio::time::timeout(REDIS_TIME, self.take_shared(&budgets)).await {
            Ok(Some(levels)) => return Taken::of(quotas, &levels),
            Ok(None) => {}
            Err(elapsed) => self.leave(&elapsed),
        }
        self.take_quotas_alone(quotas, Instant::now())
    }

    fn take_quotas_alone(&self, quotas: &[Quota], now: Instant) -> Taken {
        let budgets: Vec<Budget> = quotas.iter().map(Quota::budget).collect();
        Taken::of(quotas, &self.take_alone(&budgets, Unknown::Whole, now))
    }
}

impl Taken {
    fn of(quotas: &[Quota], levels: &[Level]) -> Self {
        Self {
            wait: levels.iter().map(|level| level.wait).max().unwrap_or_default(),
            left: quotas.iter().zip(levels).map(|(quota, level)| quota.left(level.full_in)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Window;

    fn quota(whose: &str, requests: u32) -> Quota {
        let requests = NonZeroU32::new(requests).unwrap();
        Quota { name: "tenant", whose: whose.to_owned(), requests, window: Duration::from_mins(1) }
    }

    #[tokio::test]
    async fn all_may_come_at_once_and_comes_back_one_by_one() {
        let quotas = Limiter::new(Window::open("redis://127.0.0.1:1", "").unwrap());
        let begin = Instant::now();
        let take = |seconds| {
            let taken = quotas.take_quotas_alone(&[quota("a", 3)], begin + Duration::from_secs(seconds));
            (taken.wait.as_secs(), taken.left[0].requests)
        };
        let taken: Vec<(u64, u32)> = [0, 0, 0, 0, 5, 20, 20, 80].map(take).to_vec();
        assert_eq!(taken, [(0, 2), (0, 1), (0, 0), (20, 0), (15, 0), (0, 0), (20, 0), (0, 2)]);
    }

    #[tokio::test]
    async fn what_one_quota_refuses_is_not_counted_by_another() {
        let quotas = Limiter::new(Window::open("redis://127.0.0.1:1", "").unwrap());
        let (small, large) = (quota("small", 1), quota("large", 2));
        let now = Instant::now();
        let both = [small, large.clone()];
        assert!(quotas.take_quotas_alone(&both, now).wait.is_zero());
        assert_eq!(quotas.take_quotas_alone(&both, now).wait, Duration::from_mins(1));
        assert!(quotas.take_quotas_alone(std::slice::from_ref(&large), now).wait.is_zero());
        assert_eq!(quotas.take_quotas_alone(&[large], now).wait, Duration::from_secs(30));
    }

    #[tokio::test]
    async fn nobody_is_refused_because_redis_is_away() {
        let quotas = Limiter::new(Window::open("redis://127.0.0.1:1", "").unwrap());
        let taken = quotas.take(&[quota("a", 2)]).await;
        assert_eq!((taken.wait, taken.left[0].requests), (Duration::ZERO, 1));
    }
}
