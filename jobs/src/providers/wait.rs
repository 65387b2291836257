//! Reads the wait that a provider asks for, from the headers that all of them share.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The shortest and the longest wait, whatever a header says.
const BOUNDS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));

/// Returns a wait within bounds.
pub(super) fn bounded(wait: Duration) -> Duration {
    wait.clamp(BOUNDS.0, BOUNDS.1)
}

/// Returns the provider's time from the headers of a response.
pub(super) fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    parse_date(headers.get(DATE)?.to_str().ok()?)
}

/// Returns the wait, given in seconds or as a date that is compared with the response's own.
/// Source: RFC 9110, "Retry-After".
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => (parse_date(text)? - date(headers)?).to_std().ok(),
    }
}

/// Returns the wait until a window of requests ends, whose end is seconds since 1970.
pub(super) fn until_reset(headers: &HeaderMap) -> Option<Duration> {
    let reset = headers.get("x-ratelimit-reset")?.to_str().ok()?.trim().parse().ok()?;
    let left = DateTime::from_timestamp(reset, 0)? - date(headers)?;
    Some(bounded(left.to_std().ok()?))
}

/// Source: RFC 9110, "Date/Time Formats".
fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc())
}
