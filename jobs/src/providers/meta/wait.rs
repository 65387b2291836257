//! Reads the wait that Meta asks for, from the headers of a response.

use std::{collections::BTreeMap, time::Duration};

use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::providers::wait::{bounded, retry_after};

/// The time within which used-up calls come back. Source: Graph API, "Rate limits": a rolling
/// window of one hour.
const WINDOW: Duration = Duration::from_hours(1);

/// The percentage at which calls are refused. Source: Graph API, "Rate limits".
const USED_UP: f64 = 100.0;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Usage {
    call_count: f64,
    total_time: f64,
    total_cputime: f64,
    /// The wait in minutes.
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

/// Returns the longest wait that the headers ask for, within bounds, or `None` if they ask for
/// none.
pub(super) fn told(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let business: BTreeMap<String, Vec<Usage>> =
        text("x-business-use-case-usage").and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let own =
        ["x-app-usage", "x-page-usage"].into_iter().filter_map(|name| serde_json::from_str::<Usage>(text(name)?).ok());
    let usages = business.into_values().flatten().chain(own).filter_map(|usage| usage.wait());
    usages.chain(retry_after(headers)).max().map(bounded)
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
