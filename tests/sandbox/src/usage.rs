//! The rate limit headers, which tell an app how much of its limits it has used.

use poem::Response;
use poem::http::{HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

const APP_USAGE: HeaderName = HeaderName::from_static("x-app-usage");
const BUSINESS_USAGE: HeaderName = HeaderName::from_static("x-business-use-case-usage");

/// The used part of the limits. Headers without a value here stay as they are.
///
/// ```json
/// {"app_percent": 100, "business_percent": 100, "regain_access_minutes": 7, "retry_after": "420"}
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Usage {
    /// All three percentages of `X-App-Usage`.
    pub(crate) app_percent: Option<u32>,
    /// All three percentages of the Page in `X-Business-Use-Case-Usage`; 100 if only the minutes
    /// are given.
    pub(crate) business_percent: Option<u32>,
    /// `estimated_time_to_regain_access`, in minutes.
    pub(crate) regain_access_minutes: Option<u32>,
    /// `Retry-After`: seconds, or an HTTP date.
    pub(crate) retry_after: Option<String>,
}

impl Usage {
    /// Adds the headers to a response, for a call about a Page or about none.
    pub(crate) fn put_on(&self, response: &mut Response, page_id: Option<&str>) {
        let headers = response.headers_mut();
        let mut put = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        if let Some(percent) = self.app_percent {
            put(APP_USAGE, json!({"call_count": percent, "total_time": percent, "total_cputime": percent}).to_string());
        }
        let has_business = self.business_percent.is_some() || self.regain_access_minutes.is_some();
        if let Some(page_id) = page_id.filter(|_| has_business) {
            let percent = self.business_percent.unwrap_or(100);
            let usage = json!({
                "type": "pages",
                "call_count": percent,
                "total_time": percent,
                "total_cputime": percent,
                "estimated_time_to_regain_access": self.regain_access_minutes.unwrap_or(0),
            });
            put(BUSINESS_USAGE, json!({page_id: [usage]}).to_string());
        }
        if let Some(retry_after) = &self.retry_after {
            put(header::RETRY_AFTER, retry_after.clone());
        }
    }
}
