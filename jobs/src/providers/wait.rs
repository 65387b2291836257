//! How long a provider wants us to wait, by the headers that all of them share.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// No wait is shorter or longer than this, whatever a header says.
const BOUNDS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));

/// A wait within bounds.
pub(super) fn bounded(wait: Duration) -> Duration {
    wait.clamp(BOUNDS.0, BOUNDS.1)
}

/// The provider's time, as an answer has it.
pub(super) fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    parse_date(headers.get(DATE)?.to_str().ok()?)
}

/// Seconds, or a date that is compared with the answer's own. Source: RFC 9110, "Retry-After".
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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
