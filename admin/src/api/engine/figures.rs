//! Figures of the past: work that ended, failures, and how long work waited.

use chrono::{DateTime, Utc};
use jobs::engine::{
    Scope,
    figures::{self, FiguresQuery, FiguresRow, Resolution, Series},
};
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json};

use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    error::ErrorCode,
    state::AppState,
};

/// The most points of one series.
const MAX_POINTS: i64 = 1_500;

/// The most points of each of several series.
const MAX_POINTS_OF_EACH: i64 = 300;

/// The length of time that a point covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Resolution", rename_all = "snake_case")]
enum ResolutionName {
    /// Kept for 7 days.
    Minute,
    /// Kept for 400 days.
    Hour,
}

impl From<ResolutionName> for Resolution {
    fn from(name: ResolutionName) -> Self {
        match name {
            ResolutionName::Minute => Self::Minute,
            ResolutionName::Hour => Self::Hour,
        }
    }
}

/// The series that figures are divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SeriesBy", rename_all = "snake_case")]
enum SeriesBy {
    Queue,
    Kind,
}

impl SeriesBy {
    fn series(by: Option<Self>) -> Series {
        match by {
            Some(Self::Queue) => Series::Queue,
            Some(Self::Kind) => Series::Kind,
            None => Series::All,
        }
    }
}

/// The figures of a minute or an hour.
#[derive(Debug, Object)]
struct PointView {
    starts_at: DateTime<Utc>,
    /// The queue or the kind, if the figures are divided.
    series: Option<String>,
    /// The number of jobs that completed.
    completed: i64,
    cancelled: i64,
    discarded: i64,
    /// The number of attempts that failed, or whose process died.
    failures: i64,
    /// The time within which half of the jobs started after they were due, in milliseconds. Rounded
    /// up, by 19 % at most. Absent if no job ended that had started.
    wait_p50_ms: Option<f64>,
    /// The same for 95 % of the jobs.
    wait_p95_ms: Option<f64>,
}

impl From<FiguresRow> for PointView {
    fn from(row: FiguresRow) -> Self {
        Self {
            starts_at: row.starts_at,
            series: Some(row.series).filter(|series| !series.is_empty()),
            completed: row.completed,
            cancelled: row.cancelled,
            discarded: row.discarded,
            failures: row.failures,
            wait_p50_ms: row.wait_p50_ms,
            wait_p95_ms: row.wait_p95_ms,
        }
    }
}

/// Figures of the past.
#[derive(Debug, Object)]
struct FiguresView {
    resolution: ResolutionName,
    /// The points by time. Times in which nothing ended and nothing failed are left out.
    points: Vec<PointView>,
}

pub(crate) struct FiguresApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Engine")]
impl FiguresApi {
    /// Get figures of the past: work that ended, failures, and waits.
    ///
    /// A minute is counted once it is over, by a job that runs each minute. A job that is retried
    /// after it was counted stays counted. The time may have 1,500 points, or 300 if `by` divides
    /// the figures. For operators.
    #[oai(path = "/stats/figures", method = "get", operation_id = "get_figures")]
    #[expect(clippy::too_many_arguments, reason = "one a parameter")]
    async fn get(
        &self,
        #[oai(scope = "Needs::EngineRead")] caller: Caller,
        /// The first point begins at this time or later.
        since: Query<DateTime<Utc>>,
        /// All points begin before this time; now by default.
        until: Query<Option<DateTime<Utc>>>,
        /// The length of time that a point covers: an hour by default.
        resolution: Query<Option<ResolutionName>>,
        /// Only this queue.
        #[oai(validator(max_length = 100))]
        queue: Query<Option<String>>,
        /// Only this kind.
        #[oai(validator(max_length = 100))]
        kind: Query<Option<String>>,
        /// Divides the figures by queue or by kind.
        by: Query<Option<SeriesBy>>,
    ) -> Result<Json<FiguresView>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let until = match until.0 {
            Some(until) => until,
            None => tx.now().await?,
        };
        let resolution = resolution.0.unwrap_or(ResolutionName::Hour);
        let query = FiguresQuery {
            resolution: resolution.into(),
            since: since.0,
            until,
            queue: queue.0,
            kind: kind.0,
            by: SeriesBy::series(by.0),
            step: None,
        };
        check_span(&query)?;
        let points = figures::list_figures(&mut tx, &query).await?.into_iter().map(PointView::from).collect();
        Ok(Json(FiguresView { resolution, points }))
    }
}

fn check_span(query: &FiguresQuery) -> Result<(), ApiError> {
    if query.since >= query.until {
        return Err(ApiError::unprocessable(ErrorCode::BadSince, "since should be before until."));
    }
    let most = if query.by == Series::All { MAX_POINTS } else { MAX_POINTS_OF_EACH };
    let points = (query.until - query.since).num_seconds() / query.resolution.length().num_seconds();
    if points > most {
        let detail = format!(
            "From since to until there are {points} points, and {most} at most are returned: name a shorter time, or \
             resolution=hour."
        );
        return Err(ApiError::unprocessable(ErrorCode::BadSince, detail));
    }
    Ok(())
}
