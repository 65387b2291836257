//! Days and months in a tenant's time zone.

use chrono::{DateTime, Datelike as _, Days, MappedLocalTime, Months, NaiveDate, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

/// A day or a month in some time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first day, in that time zone.
    pub first_day: NaiveDate,
    /// The start of the period.
    pub start: DateTime<Utc>,
    /// The start of the next period.
    pub end: DateTime<Utc>,
}

/// Returns the time zone of that name, or UTC without a name.
pub(super) fn zone(name: Option<&str>) -> Tz {
    name.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// Returns the day that contains `now`.
pub(super) fn day(now: DateTime<Utc>, zone: Tz) -> Period {
    let first_day = now.with_timezone(&zone).date_naive();
    between(first_day, first_day.checked_add_days(Days::new(1)), zone)
}

/// Returns the month that contains `now`.
pub(super) fn month(now: DateTime<Utc>, zone: Tz) -> Period {
    let today = now.with_timezone(&zone).date_naive();
    let first_day = today.with_day(1).unwrap_or(today);
    between(first_day, first_day.checked_add_months(Months::new(1)), zone)
}

fn between(first_day: NaiveDate, next: Option<NaiveDate>, zone: Tz) -> Period {
    Period { first_day, start: begin(first_day, zone), end: begin(next.unwrap_or(first_day), zone) }
}

/// Returns the start of a day: midnight, or, if clocks go forward at midnight, the first time after
/// the gap.
fn begin(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    (0..=24)
        .map(|quarters| midnight + TimeDelta::minutes(15 * quarters))
        .find_map(|time| match zone.from_local_datetime(&time) {
            MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => Some(time.to_utc()),
            MappedLocalTime::None => None,
        })
        .unwrap_or_else(|| midnight.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    #[test]
    fn days_and_months_are_the_tenants() {
        let now = at("2026-11-30T23:30:00Z");
        let berlin = zone(Some("Europe/Berlin"));
        assert_eq!(day(now, zone(None)).first_day, NaiveDate::from_ymd_opt(2026, 11, 30).unwrap());
        let today = day(now, berlin);
        assert_eq!((today.start, today.end), (at("2026-11-30T23:00:00Z"), at("2026-12-01T23:00:00Z")));
        let this_month = month(now, berlin);
        assert_eq!((this_month.start, this_month.end), (at("2026-11-30T23:00:00Z"), at("2026-12-31T23:00:00Z")));
    }

    #[test]
    fn days_on_which_clocks_change_are_shorter_longer_or_begin_late() {
        let hours = |now: &str, name: &str| {
            let today = day(at(now), zone(Some(name)));
            (today.end - today.start).num_hours()
        };
        assert_eq!(hours("2026-03-29T12:00:00Z", "Europe/Berlin"), 23);
        assert_eq!(hours("2026-10-25T12:00:00Z", "Europe/Berlin"), 25);
        let gap = day(at("2018-11-04T12:00:00Z"), zone(Some("America/Sao_Paulo")));
        assert_eq!(gap.start, at("2018-11-04T03:00:00Z"), "midnight was left out");
    }
}
