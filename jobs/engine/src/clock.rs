//! The database's clock as one process sees it. Its progress is compared with the process'
//! monotonic clock, so that a step shows: after one, leases look expired or endless that are
//! neither.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

/// One reading of the database's clock.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The database's time, unshifted.
    pub time: DateTime<Utc>,
    /// The start of the server: the same in every reading until it starts again.
    pub server_started: DateTime<Utc>,
    /// The moment before the question left.
    pub asked: Instant,
    /// The moment after the response came.
    pub answered: Instant,
}

/// An event after which leases may look expired although their processes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// The clock was set ahead, or back if negative, by about this much.
    Stepped(TimeDelta),
    /// The server was started again.
    Restarted,
}

/// The database's clock, by the last reading.
#[derive(Debug)]
pub struct DatabaseClock {
    /// The largest step that does not count as one.
    tolerance: TimeDelta,
    last: Option<Reading>,
}

impl DatabaseClock {
    /// A clock of which nothing is known yet.
    #[must_use]
    pub fn new(tolerance: Duration) -> Self {
        Self { tolerance: delta(tolerance), last: None }
    }

    /// Takes a reading, and returns what happened since the one before.
    pub fn observe(&mut self, reading: Reading) -> Option<Disturbance> {
        let last = self.last.replace(reading)?;
        if last.server_started != reading.server_started {
            return Some(Disturbance::Restarted);
        }
        let progress = reading.time - last.time;
        // The time was read at some moment between the question and its response.
        let at_least = delta(reading.asked.duration_since(last.answered));
        let at_most = delta(reading.answered.duration_since(last.asked));
        if progress < at_least - self.tolerance {
            return Some(Disturbance::Stepped(progress - at_least));
        }
        (progress > at_most + self.tolerance).then(|| Disturbance::Stepped(progress - at_most))
    }

    /// Returns the times at which the database's clock stands now, unless it was stepped since the
    /// last reading. `None` before the first reading.
    #[must_use]
    pub fn expected(&self, now: Instant) -> Option<RangeInclusive<DateTime<Utc>>> {
        let last = self.last?;
        let latest = last.time + delta(now.duration_since(last.asked)) + self.tolerance;
        Some(last.time - self.tolerance..=latest)
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A clock that was read, and a reading `passed` later that took `took`, by a clock that shows
    /// `progress`.
    fn second(passed: Duration, took: Duration, progress: TimeDelta) -> (DatabaseClock, Reading) {
        let (begun, time) = (Instant::now(), DateTime::UNIX_EPOCH);
        let first = Reading { time, server_started: time, asked: begun, answered: begun + SECOND / 100 };
        let mut clock = DatabaseClock::new(SECOND / 4);
        assert_eq!(clock.observe(first), None);
        let asked = begun + passed;
        (clock, Reading { time: time + progress, server_started: time, asked, answered: asked + took })
    }

    #[test]
    fn slow_responses_are_no_steps() {
        for progress in [800, 1_000, 3_000, 4_200] {
            let (mut clock, reading) = second(SECOND, 3 * SECOND, TimeDelta::milliseconds(progress));
            assert_eq!(clock.observe(reading), None, "{progress}");
        }
    }

    #[test]
    fn steps_show_in_both_directions() {
        for seconds in [-120, 120] {
            let (mut clock, reading) = second(SECOND, SECOND / 10, TimeDelta::seconds(1 + seconds));
            let Some(Disturbance::Stepped(by)) = clock.observe(reading) else { panic!("a step of {seconds} s") };
            assert!((by - TimeDelta::seconds(seconds)).abs() < TimeDelta::seconds(1), "{by}");
            let next = Reading { asked: reading.answered, ..reading };
            assert_eq!(clock.observe(next), None, "it shows once");
        }
    }

    #[test]
    fn a_server_that_starts_again_shows() {
        let (mut clock, reading) = second(SECOND, SECOND / 10, TimeDelta::seconds(1));
        let server_started = reading.time;
        assert_eq!(clock.observe(Reading { server_started, ..reading }), Some(Disturbance::Restarted));
    }

    #[test]
    fn a_time_after_a_step_is_not_expected() {
        let (mut clock, reading) = second(SECOND, SECOND / 10, TimeDelta::seconds(1));
        assert!(DatabaseClock::new(SECOND).expected(reading.asked).is_none());
        clock.observe(reading);
        let expected = clock.expected(reading.asked + SECOND).unwrap();
        assert!(expected.contains(&(reading.time + TimeDelta::seconds(1))));
        for step in [-119, 121] {
            assert!(!expected.contains(&(reading.time + TimeDelta::seconds(step))), "{step}");
        }
    }
}
