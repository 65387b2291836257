//! How long Meta wants us to wait, by the headers of an answer.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;

/// The wait where no header says another.
pub(super) const DEFAULT_WAIT: Duration = Duration::from_mins(10);

/// No wait is shorter or longer than this, whatever a header says.
const BOUNDS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));

/// What is used up comes back within an hour. Source: Graph API, "Rate limits": a rolling window of one hour.
const WINDOW: Duration = Duration::from_hours(1);

/// At this percentage calls are refused. Source: Graph API, "Rate limits".
const USED_UP: f64 = 100.0;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Usage {
    call_count: f64,
    total_time: f64,
    total_cputime: f64,
    /// Minutes.
    estimated_time_to_regain_access: f64,
}

impl Usage {
    fn is_used_up(&self) -> bool {
        [self.call_count, self.total_time, self.total_cputime].into_iter().any(|percent| percent >= USED_UP)
    }

    fn wait(&self) -> Option<Duration> {
        let told = Duration::try_from_secs_f64(self.estimated_time_to_regain_access * 60.0).unwrap_or_default();
        if told.is_zero() { self.is_used_up().then_some(WINDOW) } else { Some(told) }
    }
}

/// The longest wait that the headers ask for, within bounds; `None` if they ask for none.
pub(super) fn told(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let business: BTreeMap<String, Vec<Usage>> =
        text("x-business-use-case-usage").and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let own =
        ["x-app-usage", "x-page-usage"].into_iter().filter_map(|name| serde_json::from_str::<Usage>(text(name)?).ok());
    let usages = business.into_values().flatten().chain(own).filter_map(|usage| usage.wait());
    usages.chain(retry_after(headers)).max().map(|wait| wait.clamp(BOUNDS.0, BOUNDS.1))
}

/// The provider's time, as an answer has it.
pub(super) fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    parse_date(headers.get(DATE)?.to_str().ok()?)
}

/// Seconds, or a date that is compared with the answer's own. Source: RFC 9110, "Retry-After".
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => (parse_date(text)? - date(headers)?).to_std().ok(),
    }
}

/// Source: RFC 9110, "Date/Time Formats".
fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_longest_wait_that_is_told_counts() {
        let now = ("date", "Thu, 26 Nov 2026 12:00:00 GMT");
        let regain = r#"{"1":[{"type":"pages","call_count":100,"estimated_time_to_regain_access":27}]}"#;
        for (pairs, minutes) in [
            (vec![], None),
            (vec![("retry-after", "120")], Some(2)),
            (vec![("retry-after", "1")], Some(1)),
            (vec![("retry-after", "9999999")], Some(24 * 60)),
            (vec![now, ("retry-after", "Thu, 26 Nov 2026 12:05:00 GMT")], Some(5)),
            (vec![("retry-after", "soon")], None),
            (vec![("x-business-use-case-usage", regain)], Some(27)),
            (vec![("x-business-use-case-usage", regain), ("retry-after", "3600")], Some(60)),
            (vec![("x-app-usage", r#"{"call_count":99,"total_time":3,"total_cputime":3}"#)], None),
            (vec![("x-app-usage", r#"{"call_count":3,"total_time":100,"total_cputime":3}"#)], Some(60)),
            (vec![("x-page-usage", r#"{"call_count":130}"#)], Some(60)),
            (vec![("x-app-usage", "not json")], None),
        ] {
            assert_eq!(told(&headers(&pairs)).map(|wait| wait.as_secs() / 60), minutes, "{pairs:?}");
        }
    }
}
