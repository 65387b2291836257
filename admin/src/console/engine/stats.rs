//! Throughput, waits and failures over time.

mod chart;
mod span;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use jobs::engine::{
    Scope, Tx,
    figures::{self, FiguresQuery, FiguresRow, Series as SeriesBy},
};
use poem::{Response, Result, handler, http::StatusCode, web::Data};
use url::form_urlencoded;

use self::{
    chart::{Chart, Series, wait},
    span::{SPANS, Span},
};
use crate::{
    ApiError,
    console::{
        frame::Frame,
        jobs::{kind_choices, queue_choices, unfit},
        visitor::Visitor,
        words::{self, When},
    },
    html::page,
    state::AppState,
};

/// The age of the newest figures from which on the page says that nobody counts.
const STALE: TimeDelta = TimeDelta::minutes(5);

#[derive(askama::Template)]
#[template(path = "console/engine/stats.html")]
struct StatsPage {
    frame: Frame,
    address: String,
    workspace: Option<String>,
    asked: Asked,
    spans: Vec<(String, String)>,
    queues: Vec<(String, String)>,
    kinds: Vec<(String, String)>,
    /// The newest figures, if nobody has counted for minutes.
    stale: Option<When>,
    sums: Vec<(&'static str, String)>,
    charts: Vec<Chart>,
    /// The figures of each kind, with the address of its own page.
    by_kind: Vec<(String, String, Cells)>,
    /// The figures of each step, the newest first.
    by_time: Vec<(String, Cells)>,
}

/// The figures of a row: done, cancelled, failed, failed attempts, and the waits.
type Cells = [String; 6];

/// The filters that the address names.
struct Asked {
    span: &'static Span,
    queue: Option<String>,
    kind: Option<String>,
}

impl Asked {
    fn read(visitor: &Visitor) -> Result<Self, ApiError> {
        let span = visitor.asked("span").unwrap_or_default();
        let span = Span::named(&span).ok_or_else(|| unfit("span", "one of the list"))?;
        Ok(Self { span, queue: visitor.asked("queue"), kind: visitor.asked("kind") })
    }

    fn is_of_all(&self) -> bool {
        self.queue.is_none() && self.kind.is_none()
    }

    /// Returns the address of the figures of one kind, in the same time and queue.
    fn address_of(&self, kind: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("span", self.span.name), ("queue", self.queue.as_deref().unwrap_or_default())] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        format!("/jobs/stats?{}", query.append_pair("kind", kind).finish())
    }
}

/// Shows them.
#[handler]
pub(in super::super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    visitor.caller.operator()?;
    let asked = Asked::read(&visitor)?;
    let mut tx = state.db.read(Scope::System).await.map_err(ApiError::from)?;
    let now = tx.now().await.map_err(ApiError::from)?;
    let starts = asked.span.starts(now);
    let (rows, kinds, newest) = read(&mut tx, &asked, &starts).await.map_err(ApiError::from)?;
    drop(tx);
    let steps = every_step(&starts, rows);
    let times: Vec<String> = starts.iter().map(|time| time.format(asked.span.form).to_string()).collect();
    let is_empty = steps.iter().all(Option::is_none);
    let page_of = StatsPage {
        frame: Frame::new(state, &visitor, "Figures").await?,
        address: visitor.to("/jobs/stats"),
        workspace: visitor.workspace.map(|id| id.to_string()),
        spans: SPANS.iter().filter(|span| !span.name.is_empty()).map(choice).collect(),
        queues: queue_choices(),
        kinds: kind_choices(),
        stale: newest.filter(|newest| now - newest > STALE).map(|newest| When::of(newest, now)),
        sums: sums(&steps),
        charts: if is_empty { Vec::new() } else { charts(&steps, &times) },
        by_kind: kinds
            .iter()
            .map(|row| (words::of_name(&row.series), visitor.to(&asked.address_of(&row.series)), cells(Some(row))))
            .collect(),
        by_time: times.into_iter().zip(&steps).rev().map(|(time, step)| (time, cells(step.as_ref()))).collect(),
        asked,
    };
    Ok(page(StatusCode::OK, &page_of))
}

fn choice(span: &Span) -> (String, String) {
    (span.name.to_owned(), span.label.to_owned())
}

/// Reads the figures of each step, those of each kind over the whole time, and the time of the
/// newest ones.
async fn read(
    tx: &mut Tx,
    asked: &Asked,
    starts: &[DateTime<Utc>],
) -> Result<(Vec<FiguresRow>, Vec<FiguresRow>, Option<DateTime<Utc>>), sqlx::Error> {
    let span = asked.span;
    let steps = FiguresQuery {
        resolution: span.resolution,
        since: starts[0],
        until: span.end(starts),
        queue: asked.queue.clone(),
        kind: asked.kind.clone(),
        by: SeriesBy::All,
        step: Some(span.step),
    };
    let rows = figures::list_figures(tx, &steps).await?;
    let mut kinds = Vec::new();
    if asked.kind.is_none() {
        let whole = FiguresQuery { by: SeriesBy::Kind, step: Some(span.length), ..steps };
        kinds = figures::list_figures(tx, &whole).await?;
        kinds.sort_by_key(|row| (-row.discarded, -row.failures, -row.completed));
    }
    Ok((rows, kinds, figures::find_newest(tx).await?))
}

/// Returns the figures of every step; none where nothing ended.
fn every_step(starts: &[DateTime<Utc>], rows: Vec<FiguresRow>) -> Vec<Option<FiguresRow>> {
    let mut rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.starts_at, row)).collect();
    starts.iter().map(|start| rows.remove(start)).collect()
}

/// Returns a count of each step.
fn counts(steps: &[Option<FiguresRow>], of: impl Fn(&FiguresRow) -> i64) -> Vec<i64> {
    steps.iter().map(|row| row.as_ref().map_or(0, &of)).collect()
}

fn sums(steps: &[Option<FiguresRow>]) -> Vec<(&'static str, String)> {
    let sum = |of: fn(&FiguresRow) -> i64| words::number(counts(steps, of).iter().sum());
    vec![
        ("Done", sum(|row| row.completed)),
        ("Cancelled", sum(|row| row.cancelled)),
        ("Failed", sum(|row| row.discarded)),
        ("Failed attempts", sum(|row| row.failures)),
    ]
}

fn charts(steps: &[Option<FiguresRow>], times: &[String]) -> Vec<Chart> {
    let waits = |of: fn(&FiguresRow) -> Option<f64>| steps.iter().map(|row| row.as_ref().and_then(of)).collect();
    let done = Series { name: "Done", look: "wide ok", values: counts(steps, |row| row.completed) };
    let half = Series { name: "Half started within", look: "line info", values: waits(|row| row.wait_p50_ms) };
    let most = Series { name: "95 % started within", look: "line dashed warn", values: waits(|row| row.wait_p95_ms) };
    let attempts = Series { name: "Failed attempts", look: "wide warn", values: counts(steps, |row| row.failures) };
    let given_up = Series { name: "Failed jobs", look: "narrow bad", values: counts(steps, |row| row.discarded) };
    vec![
        Chart::of_counts("Work done", times, &[done]),
        Chart::of_waits("Waits from due to start", times, &[half, most]),
        Chart::of_counts("Failures", times, &[attempts, given_up]),
    ]
}

fn cells(row: Option<&FiguresRow>) -> Cells {
    let count = |of: fn(&FiguresRow) -> i64| words::number(row.map_or(0, of));
    [
        count(|row| row.completed),
        count(|row| row.cancelled),
        count(|row| row.discarded),
        count(|row| row.failures),
        wait(row.and_then(|row| row.wait_p50_ms)),
        wait(row.and_then(|row| row.wait_p95_ms)),
    ]
}
