//! When a call left, and when the provider must have made what it did: clocks differ.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// How far a provider's clock may be off, either way, while it has not been measured.
const UNMEASURED_SKEW: TimeDelta = TimeDelta::minutes(2);

/// Times of providers are whole seconds, and two clocks are read one after the other.
const PRECISION: TimeDelta = TimeDelta::seconds(2);

/// A provider may work on a call for this long after nothing of it can leave any more.
const WORKING_TIME: TimeDelta = TimeDelta::minutes(10);

/// When a call left, by the database's clock.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Not before this.
    pub(super) at: DateTime<Utc>,
    /// Not after this.
    pub(super) until: DateTime<Utc>,
    /// What time it was ...
    pub(super) now: DateTime<Utc>,
    /// ... at this moment.
    pub(super) read_at: Instant,
}

/// A look at a provider's clock: the `Date` of an answer.
#[derive(Debug, Clone, Copy)]
pub struct ProviderClock {
    /// What time it is there.
    pub date: DateTime<Utc>,
    /// When it was asked.
    pub asked: Instant,
    /// When the answer was there.
    pub answered: Instant,
}

/// When the provider made what a call did, by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentWindow {
    /// Not before this.
    pub from: DateTime<Utc>,
    /// Not after this.
    pub to: DateTime<Utc>,
}

impl SentWindow {
    /// Whether a time is in it.
    #[must_use]
    pub fn has(&self, time: DateTime<Utc>) -> bool {
        self.from <= time && time <= self.to
    }
}

impl Sent {
    /// The window, by a clock that was looked at; without one it is wider.
    #[must_use]
    pub fn window(&self, clock: Option<&ProviderClock>) -> SentWindow {
        let (behind, ahead) = match clock {
            // The provider wrote its date at some moment between question and answer, in whole seconds.
            Some(clock) => (
                clock.date - self.database_time(clock.answered),
                clock.date - self.database_time(clock.asked) + TimeDelta::seconds(1),
            ),
            None => (-UNMEASURED_SKEW, UNMEASURED_SKEW),
        };
        SentWindow { from: self.at + behind - PRECISION, to: self.until + ahead + PRECISION + WORKING_TIME }
    }

    fn database_time(&self, moment: Instant) -> DateTime<Utc> {
        let since = signed(moment.saturating_duration_since(self.read_at));
        self.now + since - signed(self.read_at.saturating_duration_since(moment))
    }
}

fn signed(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Sent {
        let at: DateTime<Utc> = "2026-11-26T12:00:00Z".parse().expect("a time");
        let until = at + TimeDelta::seconds(20);
        Sent { at, until, now: at + TimeDelta::minutes(1), read_at: Instant::now() }
    }

    /// The provider's clock is off by this; the answer took a while.
    fn clock(sent: &Sent, off: TimeDelta, took: Duration) -> ProviderClock {
        let asked = sent.read_at + Duration::from_secs(1);
        ProviderClock { date: sent.now + off + TimeDelta::seconds(1), asked, answered: asked + took }
    }

    #[test]
    fn a_window_moves_with_the_providers_clock() {
        let sent = sent();
        for minutes in [-60, -3, 0, 3, 60] {
            let off = TimeDelta::minutes(minutes);
            let window = sent.window(Some(&clock(&sent, off, Duration::ZERO)));
            assert!(window.has(sent.at + off) && window.has(sent.until + off), "{minutes}");
            assert!(!window.has(sent.at + off - TimeDelta::seconds(30)), "somebody's equal post, {minutes}");
            assert!(!window.has(sent.until + off + TimeDelta::minutes(20)), "{minutes}");
        }
    }

    #[test]
    fn a_slow_answer_makes_the_window_wider_and_not_wrong() {
        let sent = sent();
        let window = sent.window(Some(&clock(&sent, TimeDelta::zero(), Duration::from_secs(25))));
        assert!(window.has(sent.at) && window.has(sent.at - TimeDelta::seconds(25)));
        assert!(!window.has(sent.at - TimeDelta::seconds(40)));
    }

    #[test]
    fn without_a_date_it_is_minutes_wide() {
        let window = sent().window(None);
        assert!(window.has(sent().at - TimeDelta::minutes(2)) && !window.has(sent().at - TimeDelta::minutes(3)));
    }
}
