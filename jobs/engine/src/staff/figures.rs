//! Figures of the past by minute and hour: work that ended, failures, and how long work waited.
//!
//! They are counted from the history once a minute is over. All functions need the system scope.

mod count;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

pub use self::count::{count_hours, count_minutes, find_uncounted, prune_figures};

/// The days for which figures by minute are kept.
pub const MINUTE_DAYS: i32 = 7;

/// The days for which figures by hour are kept.
pub const HOUR_DAYS: i32 = 400;

/// The length of time that a point covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Resolution {
    /// Returns the name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    /// Returns the time that a point covers.
    #[must_use]
    pub fn length(self) -> TimeDelta {
        match self {
            Self::Minute => TimeDelta::minutes(1),
            Self::Hour => TimeDelta::hours(1),
        }
    }
}

/// The series that figures are divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// One series of everything.
    All,
    /// One of each queue.
    Queue,
    /// One of each kind.
    Kind,
}

/// The figures to read.
#[derive(Debug, Clone)]
pub struct FiguresQuery {
    /// The length of time that a point covers.
    pub resolution: Resolution,
    /// The first point begins at this time or later.
    pub since: DateTime<Utc>,
    /// All points begin before this time.
    pub until: DateTime<Utc>,
    /// Only this queue.
    pub queue: Option<String>,
    /// Only this kind.
    pub kind: Option<String>,
    /// The series to divide them into.
    pub by: Series,
}

/// The figures of a minute or an hour.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct FiguresRow {
    pub starts_at: DateTime<Utc>,
    /// The queue or the kind; empty if the series is of everything.
    pub series: String,
    pub completed: i64,
    pub cancelled: i64,
    pub discarded: i64,
    pub failures: i64,
    /// The time within which half of the jobs started, in milliseconds. Rounded up, by 19 % at
    /// most.
    pub wait_p50_ms: Option<f64>,
    /// The same for 95 % of the jobs.
    pub wait_p95_ms: Option<f64>,
}

/// Lists figures by time and series. Times without any work are left out.
pub async fn list_figures(conn: &mut PgConnection, query: &FiguresQuery) -> Result<Vec<FiguresRow>, sqlx::Error> {
    let (is_by_queue, is_by_kind) = (query.by == Series::Queue, query.by == Series::Kind);
    sqlx::query_as!(
        FiguresRow,
        r#"
        with chosen as (
          select starts_at, case when $6 then queue when $7 then kind else '' end as series, completed, cancelled, discarded,
            failures, waits
          from job_figures
          where resolution = $1 and starts_at >= $2 and starts_at < $3
            and ($4::text is null or queue = $4)
            and ($5::text is null or kind = $5)
        ),
        steps as (
          select starts_at, series, step::int as step, sum(count::bigint) as count
          from chosen
          cross join lateral jsonb_each_text(waits) as waited (step, count)
          group by starts_at, series, step::int
        ),
        ranked as (
          select starts_at, series, step, sum(count) over (partition by starts_at, series order by step) as up_to,
            sum(count) over (partition by starts_at, series) as total
          from steps
        ),
        waits as (
          select starts_at, series, min(step) filter (where up_to >= 0.5 * total) as p50,
            min(step) filter (where up_to >= 0.95 * total) as p95
          from ranked
          group by starts_at, series
        ),
        sums as (
          select starts_at, series, sum(completed)::bigint as completed, sum(cancelled)::bigint as cancelled,
            sum(discarded)::bigint as discarded, sum(failures)::bigint as failures
          from chosen
          group by starts_at, series
        )
        select starts_at as "starts_at!", series as "series!", completed as "completed!", cancelled as "cancelled!",
          discarded as "discarded!", failures as "failures!", power(2.0::float8, p50 / 4.0::float8) as wait_p50_ms,
          power(2.0::float8, p95 / 4.0::float8) as wait_p95_ms
        from sums
        left join waits using (starts_at, series)
        order by starts_at, series
        "#,
        query.resolution.name(),
        query.since,
        query.until,
        query.queue,
        query.kind,
        is_by_queue,
        is_by_kind
    )
    .fetch_all(conn)
    .await
}
