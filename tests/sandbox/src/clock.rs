//! The clock of a world: real time plus the offset that a test added.

use std::time::SystemTime;

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};

const PACIFIC_SECONDS: i32 = 8 * 3600;

/// A world's clock; it keeps running after it was set.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset: TimeDelta,
    skew: TimeDelta,
}

impl Clock {
    /// Returns the current time in this world.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        real_time() + self.offset
    }

    /// Returns the time that responses show: in `Date`, and as the time of posts.
    pub(crate) fn shown(&self) -> DateTime<Utc> {
        self.now() + self.skew
    }

    /// Makes the shown time differ by `skew`, which may be negative. Nothing else changes.
    pub(crate) fn set_skew(&mut self, skew: TimeDelta) {
        self.skew = skew;
    }

    /// Returns the difference between the shown time and the clock.
    pub(crate) fn skew(&self) -> TimeDelta {
        self.skew
    }

    /// Moves the clock forward, or back if `delta` is negative.
    pub(crate) fn advance(&mut self, delta: TimeDelta) {
        self.offset += delta;
    }

    /// Sets the clock to `instant`.
    pub(crate) fn set(&mut self, instant: DateTime<Utc>) {
        self.offset = instant - real_time();
    }
}

/// Formats a time as Graph does: `2026-01-02T03:04:05+0000`.
pub(crate) fn graph_time(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// Formats a time as Graph's messages about tokens do: `Friday, 02-Jan-26 03:04:05 PST`.
pub(crate) fn pacific_time(instant: DateTime<Utc>) -> String {
    let pacific = FixedOffset::west_opt(PACIFIC_SECONDS).expect("eight hours is a valid offset");
    instant.with_timezone(&pacific).format("%A, %d-%b-%y %H:%M:%S PST").to_string()
}

/// Parses a `since` or `until` of a request: seconds since 1970, an RFC 3339 time, Graph's own
/// format or a date.
pub(crate) fn parse_bound(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(seconds) = text.parse::<i64>() {
        return DateTime::from_timestamp(seconds, 0);
    }
    if let Ok(date) = text.parse::<chrono::NaiveDate>() {
        return date.and_hms_opt(0, 0, 0).map(|midnight| midnight.and_utc());
    }
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%z"))
        .ok()
        .map(|instant| instant.to_utc())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a world stands apart from any database, and its clock has to start somewhere"
)]
fn real_time() -> DateTime<Utc> {
    DateTime::from(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_graph_writes_them() {
        let instant = DateTime::from_timestamp(1_767_323_045, 0).unwrap();
        assert_eq!(graph_time(instant), "2026-01-02T03:04:05+0000");
        assert_eq!(pacific_time(instant), "Thursday, 01-Jan-26 19:04:05 PST");
        assert_eq!(parse_bound("2026-01-02T03:04:05+0000"), Some(instant));
        assert_eq!(parse_bound("1767323045"), Some(instant));
        assert_eq!(parse_bound("2026-01-02T03:04:05Z"), Some(instant));
        assert_eq!(parse_bound("soon"), None);
    }
}
