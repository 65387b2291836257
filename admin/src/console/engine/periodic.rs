//! Periodic work: the last and the next tick, running it now, pausing it.

use jobs::{
    engine::{
        Scope,
        periodic::{self, PeriodicRow},
    },
    operations,
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;

use super::MAY_CHANGE;
use crate::{
    ApiError,
    console::{
        frame::Frame,
        notice::{Notice, Tone},
        visitor::Visitor,
        words::{self, Look, When},
    },
    html::page,
    pages::Sent,
    state::AppState,
};

#[derive(askama::Template)]
#[template(path = "console/engine/periodic.html")]
struct PeriodicPage {
    frame: Frame,
    entries: Vec<Entry>,
    may_change: bool,
}

/// Work that the clock asks for.
struct Entry {
    label: String,
    cron: String,
    look: Look,
    is_paused: bool,
    last: When,
    next: Option<When>,
    address: String,
    jobs_address: String,
}

impl Entry {
    fn of(row: PeriodicRow, visitor: &Visitor) -> Self {
        let is_paused = row.paused_at.is_some();
        let next = if is_paused { None } else { periodic::next_tick(&row.cron, row.now) };
        Self {
            label: words::of_name(&row.name),
            look: if is_paused { Look::new("Paused", "hold", "warn") } else { Look::of_tone(Tone::Ok, "Runs") },
            is_paused,
            last: When::of(row.last_tick, row.now),
            next: next.map(|tick| When::of(tick, row.now)),
            address: visitor.to(&format!("/jobs/periodic/{}", row.name)),
            jobs_address: visitor.to(&format!("/jobs?kind={}", row.kind)),
            cron: row.cron,
        }
    }
}

/// Shows it.
#[handler]
pub(in super::super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    visitor.caller.operator()?;
    let mut tx = state.db.read(Scope::System).await.map_err(ApiError::from)?;
    let rows = periodic::list_periodic(&mut tx).await.map_err(ApiError::from)?;
    drop(tx);
    let frame = Frame::new(state, &visitor, "Periodic work").await?;
    let entries = rows.into_iter().map(|row| Entry::of(row, &visitor)).collect();
    Ok(page(StatusCode::OK, &PeriodicPage { frame, entries, may_change: visitor.may(MAY_CHANGE) }))
}

#[derive(Deserialize)]
struct ChangeForm {
    change: String,
}

/// Runs an entry now, pauses it, or has it go on.
#[handler]
pub(in super::super) async fn change(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(name): Path<String>,
    Sent(form): Sent<ChangeForm>,
) -> Result<Response> {
    visitor.caller.operator()?;
    let (services, actor, label) = (&state.services, visitor.caller.actor(), words::of_name(&name));
    let missing = || ApiError::not_found("periodic entry");
    let mut tx = state.db.write(Scope::System, &visitor.caller).await.map_err(ApiError::from)?;
    if form.change == "run" {
        let job = operations::run_periodic(&mut tx, services, actor, &name).await.map_err(ApiError::from)?;
        let job = job.ok_or_else(missing)?;
        let done = if job.is_new { "This job runs it now." } else { "It runs already: this is its job." };
        Notice::ok(done).keep(state, cookies);
        return visitor.leave(tx, &format!("/jobs/{}", job.id)).await;
    }
    let is_pause = form.change == "pause";
    let row = operations::pause_periodic(&mut tx, services, actor, &name, is_pause).await.map_err(ApiError::from)?;
    row.ok_or_else(missing)?;
    let done =
        if is_pause { format!("{label} is paused: its ticks are skipped.") } else { format!("{label} goes on.") };
    Notice::ok(done).keep(state, cookies);
    visitor.leave(tx, "/jobs/periodic").await
}
