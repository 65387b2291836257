//! The times that figures are shown for.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use jobs::engine::figures::Resolution;

/// A time up to now, and the steps that it is shown in.
pub(super) struct Span {
    /// The name in addresses; empty for the one that is shown if none is named.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) resolution: Resolution,
    pub(super) length: TimeDelta,
    pub(super) step: TimeDelta,
    /// The form of its times.
    pub(super) form: &'static str,
}

/// The spans of the page. Each has 24 to 84 steps. A day of minutes would take 0.2 s to read.
pub(super) const SPANS: [Span; 5] = [
    Span {
        name: "hour",
        label: "The last hour",
        resolution: Resolution::Minute,
        length: TimeDelta::hours(1),
        step: TimeDelta::minutes(1),
        form: "%H:%M",
    },
    Span {
        name: "quarter",
        label: "The last 6 hours",
        resolution: Resolution::Minute,
        length: TimeDelta::hours(6),
        step: TimeDelta::minutes(5),
        form: "%H:%M",
    },
    Span {
        name: "",
        label: "The last day",
        resolution: Resolution::Hour,
        length: TimeDelta::hours(24),
        step: TimeDelta::hours(1),
        form: "%-d %b %H:%M",
    },
    Span {
        name: "week",
        label: "The last 7 days",
        resolution: Resolution::Hour,
        length: TimeDelta::days(7),
        step: TimeDelta::hours(2),
        form: "%-d %b %H:%M",
    },
    Span {
        name: "month",
        label: "The last 30 days",
        resolution: Resolution::Hour,
        length: TimeDelta::days(30),
        step: TimeDelta::hours(12),
        form: "%-d %b %H:%M",
    },
];

impl Span {
    /// Returns the span of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        SPANS.iter().find(|span| span.name == name)
    }

    /// Returns the start of each step. The newest step has the last minute that is counted for
    /// certain, and may not be over.
    pub(super) fn starts(&self, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let minute = TimeDelta::minutes(1);
        let last = now.duration_trunc(minute).unwrap_or(now) - minute * 2;
        let newest = last.duration_trunc(self.step).unwrap_or(last);
        let steps = i32::try_from(self.length.num_seconds() / self.step.num_seconds()).unwrap_or(i32::MAX);
        (0..steps).rev().map(|ago| newest - self.step * ago).collect()
    }

    /// Returns the end of the newest step.
    pub(super) fn end(&self, starts: &[DateTime<Utc>]) -> DateTime<Utc> {
        starts.last().copied().unwrap_or_default() + self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        format!("2026-11-{text}Z").parse().unwrap()
    }

    #[test]
    fn a_span_ends_with_the_last_minute_that_is_counted() {
        let now = time("27T08:17:40");
        let bounds = |name: &str| {
            let span = Span::named(name).unwrap();
            let starts = span.starts(now);
            (starts.len(), starts[0], span.end(&starts))
        };
        assert_eq!(bounds("hour"), (60, time("27T07:16:00"), time("27T08:16:00")));
        assert_eq!(bounds(""), (24, time("26T09:00:00"), time("27T09:00:00")));
        assert_eq!(bounds("week"), (84, time("20T10:00:00"), time("27T10:00:00")));
        assert!(Span::named("year").is_none());
    }
}
