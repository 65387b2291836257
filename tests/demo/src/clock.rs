//! The clock of the person who plans the posts.

use chrono::{DateTime, Months, Utc};

/// Returns the current time.
#[expect(clippy::disallowed_methods, reason = "a client of the API has no database to ask, only its own clock")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Returns the month after the present one: `2026-12`.
pub(crate) fn next_month() -> String {
    (now().date_naive() + Months::new(1)).format("%Y-%m").to_string()
}
