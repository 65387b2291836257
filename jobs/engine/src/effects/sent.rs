//! The time at which a call left, and the time at which the provider must have handled it. Their
//! clocks differ.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// The assumed skew of a provider's clock in either direction, while it has not been measured.
const UNMEASURED_SKEW: TimeDelta = TimeDelta::minutes(2);

/// The precision of a measurement: providers' times are whole seconds, and two clocks are read one
/// after the other.
const PRECISION: TimeDelta = TimeDelta::seconds(2);

/// The time that a provider may work on a call after its last byte left.
const WORKING_TIME: TimeDelta = TimeDelta::minutes(10);

/// The time at which a call left, by the database's clock.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// The earliest time.
    pub(super) at: DateTime<Utc>,
    /// The latest time.
    pub(super) until: DateTime<Utc>,
    /// The database's time ...
    pub(super) now: DateTime<Utc>,
    /// ... at this moment of this process.
    pub(super) read_at: Instant,
}

/// A reading of a provider's clock: the `Date` header of a response.
#[derive(Debug, Clone, Copy)]
pub struct ProviderClock {
    /// The provider's time.
    pub date: DateTime<Utc>,
    /// The moment of the request.
    pub asked: Instant,
    /// The moment of the response.
    pub answered: Instant,
}

/// The period in which the provider handled a call, by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentWindow {
    /// The earliest time.
    pub from: DateTime<Utc>,
    /// The latest time.
    pub to: DateTime<Utc>,
}

impl SentWindow {
    /// Returns true if a time lies in the window.
    #[must_use]
    pub fn has(&self, time: DateTime<Utc>) -> bool {
        self.from <= time && time <= self.to
    }
}

impl Sent {
    /// Returns the window by a measured clock, or a wider one without a measurement.
    #[must_use]
    pub fn window(&self, clock: Option<&ProviderClock>) -> SentWindow {
        let (behind, ahead) = match clock {
            // The provider wrote its date at some moment between request and response, in whole
            // seconds.
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

    /// Returns a reading of a clock that is off by `off`; the response took `took`.
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
