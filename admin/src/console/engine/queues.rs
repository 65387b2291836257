//! Queues: how much waits and for how long, pausing them, and their limits.

mod limits;

use chrono::TimeDelta;
use jobs::{
    engine::{Scope, queues::QueueRow},
    operations::{self, QueueChange},
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;

use self::limits::Limits;
use super::MAY_CHANGE;
use crate::{
    ApiError,
    api::{QueueFigures, queue_figures},
    console::{
        frame::Frame,
        notice::{Notice, Tone},
        parts::{Field, Refused},
        visitor::Visitor,
        words::{self, Look},
    },
    html::page,
    pages::Sent,
    state::AppState,
};

/// The time after which waiting work is late.
const LATE_SECONDS: f64 = 60.0;

#[derive(askama::Template)]
#[template(path = "console/engine/queues.html")]
struct QueuesPage {
    frame: Frame,
    queues: Vec<Queue>,
    may_change: bool,
}

/// A queue and how it fares.
struct Queue {
    name: String,
    label: String,
    look: Look,
    is_paused: bool,
    /// Figures with their names and the addresses of their jobs.
    figures: Vec<(&'static str, String, String)>,
    limits: String,
    fields: Vec<Field>,
    version: String,
    refused: Option<Refused>,
    address: String,
}

/// Limits that were sent and not taken.
struct Retyped {
    queue: String,
    limits: Limits,
    /// True if somebody else changed them meanwhile.
    is_stale: bool,
}

impl Queue {
    fn of(state: &QueueFigures, visitor: &Visitor, retyped: Option<&Retyped>) -> Self {
        let row = &state.row;
        let stored = Limits::of(row);
        let retyped = retyped.filter(|retyped| retyped.queue == row.name);
        Self {
            label: words::of_name(&row.name),
            look: look(row, state.latency_seconds),
            is_paused: row.paused_at.is_some(),
            figures: figures(state, visitor),
            limits: stored.words(),
            fields: retyped.map_or(&stored, |retyped| &retyped.limits).fields(&row.name),
            version: stored.version(),
            refused: retyped.map(|retyped| refusal(retyped, &stored)),
            address: visitor.to(&format!("/jobs/queues/{}", row.name)),
            name: row.name.clone(),
        }
    }
}

fn look(row: &QueueRow, latency_seconds: Option<f64>) -> Look {
    if row.paused_at.is_some() {
        Look::new("Paused", "hold", "warn")
    } else if latency_seconds.is_some_and(|seconds| seconds > LATE_SECONDS) {
        Look::of_tone(Tone::Bad, "Late")
    } else {
        Look::of_tone(Tone::Ok, "Runs")
    }
}

fn figures(state: &QueueFigures, visitor: &Visitor) -> Vec<(&'static str, String, String)> {
    let address = |of: &str| visitor.to(&format!("/jobs?queue={}&state={of}", state.row.name));
    let depth = |of: &str| {
        state.depth.get(of).map_or_else(
            || "0".to_owned(),
            |count| format!("{}{}", words::number(count.count), if count.is_exact { "" } else { "+" }),
        )
    };
    #[expect(clippy::cast_possible_truncation, reason = "a time that work waits")]
    let oldest =
        state.latency_seconds.map(|seconds| words::duration(TimeDelta::milliseconds((seconds * 1000.0) as i64)));
    vec![
        (
            "Running",
            format!("{} of {}", words::number(state.running()), words::number(state.slots)),
            address("executing"),
        ),
        ("Due", depth("available"), address("available")),
        ("Oldest waits", oldest.unwrap_or_else(|| "nothing".to_owned()), address("available")),
        ("Will retry", depth("retryable"), address("retryable")),
        ("Scheduled", depth("scheduled"), address("scheduled")),
        ("On hold", depth("suspended"), address("suspended")),
    ]
}

fn refusal(retyped: &Retyped, stored: &Limits) -> Refused {
    if retyped.is_stale {
        let words =
            format!("They are now: {}. What you typed is still below: save again to keep yours.", stored.words());
        Refused { title: "Somebody else changed these limits", words }
    } else {
        Refused { title: "The limits were not changed", words: "Correct what is marked.".to_owned() }
    }
}

/// Shows them.
#[handler]
pub(in super::super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    Ok(page(StatusCode::OK, &shown(state, &visitor, None).await?))
}

async fn shown(state: &AppState, visitor: &Visitor, retyped: Option<&Retyped>) -> Result<QueuesPage, ApiError> {
    visitor.caller.operator()?;
    let mut tx = state.db.read(Scope::System).await?;
    let states = queue_figures(&mut tx).await?;
    drop(tx);
    Ok(QueuesPage {
        frame: Frame::new(state, visitor, "Queues").await?,
        queues: states.iter().map(|state| Queue::of(state, visitor, retyped)).collect(),
        may_change: visitor.may(MAY_CHANGE),
    })
}

#[derive(Deserialize)]
struct PauseForm {
    change: String,
}

/// Pauses a queue, or has it go on.
#[handler]
pub(in super::super) async fn change(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(name): Path<String>,
    Sent(form): Sent<PauseForm>,
) -> Result<Response> {
    visitor.caller.operator()?;
    let label = words::of_name(&name);
    let (change, done) = match form.change.as_str() {
        "pause" => (QueueChange::Pause, format!("{label} is paused. What runs is left to end.")),
        _ => (QueueChange::Resume, format!("{label} goes on.")),
    };
    let (services, actor) = (&state.services, visitor.caller.actor());
    let mut tx = state.db.write(Scope::System, &visitor.caller).await.map_err(ApiError::from)?;
    let changed = operations::change_queue(&mut tx, services, actor, &name, change).await.map_err(ApiError::from)?;
    changed.ok_or_else(|| ApiError::not_found("queue"))?;
    Notice::ok(done).keep(state, cookies);
    visitor.leave(tx, "/jobs/queues").await
}

#[derive(Deserialize)]
struct LimitForm {
    version: String,
    #[serde(flatten)]
    limits: Limits,
}

/// Sets the limits of a queue.
#[handler]
pub(in super::super) async fn limit(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(name): Path<String>,
    Sent(form): Sent<LimitForm>,
) -> Result<Response> {
    visitor.caller.operator()?;
    let mut tx = state.db.write(Scope::System, &visitor.caller).await.map_err(ApiError::from)?;
    let before = jobs::engine::queues::lock(&mut tx, &name).await.map_err(ApiError::from)?;
    let before = before.ok_or_else(|| ApiError::not_found("queue"))?;
    let is_stale = Limits::of(&before).version() != form.version;
    let Some(changes) = form.limits.changes().filter(|_| !is_stale) else {
        drop(tx);
        let status = if is_stale { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
        let retyped = Retyped { queue: name, limits: form.limits, is_stale };
        return Ok(page(status, &shown(state, &visitor, Some(&retyped)).await?));
    };
    let (services, actor) = (&state.services, visitor.caller.actor());
    let limits = QueueChange::Limit(changes);
    operations::change_queue(&mut tx, services, actor, &name, limits).await.map_err(ApiError::from)?;
    Notice::ok(format!("The limits of {} count from the next job on.", words::of_name(&name))).keep(state, cookies);
    visitor.leave(tx, "/jobs/queues").await
}
