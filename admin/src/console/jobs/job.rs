//! The page of one job: what it is about, its story, its calls, its log, and what can be done.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jobs::{
    engine::{
        EffectState,
        events::{self, EventRow, Progress},
        ledger::{self, ActionError, AttemptRow, Children, EffectRow, JobRow},
    },
    ids::JobId,
    kinds, operations, tenants,
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    MAY_ACT,
    action::{self, Button},
    explanation::{self, Explanation},
    row::Row,
    timeline::{self, Moment},
};
use crate::{
    ApiError,
    auth::Audience,
    console::{
        frame::Frame,
        notice::Notice,
        parts::Live,
        visitor::Visitor,
        words::{self, Look, When},
    },
    html::page,
    pages::Sent,
    state::AppState,
};

/// The most lines of a log that the page shows: the last ones.
const LINES: i64 = 200;

/// A job with what belongs to it, as it is stored.
struct Stored {
    job: JobRow,
    attempts: Vec<AttemptRow>,
    effects: Vec<EffectRow>,
    children: Children,
    progress: Option<Progress>,
    log: Vec<EventRow>,
    tenant: Option<String>,
    now: DateTime<Utc>,
}

#[derive(askama::Template)]
#[template(path = "console/jobs/job.html")]
struct JobPage {
    frame: Frame,
    kind: String,
    explanation: Explanation,
    facts: Vec<(&'static str, String, Option<String>)>,
    moments: Vec<Moment>,
    effects: Vec<Effect>,
    children: Vec<Row>,
    /// The number of children in each state.
    child_counts: Vec<(Look, String)>,
    children_address: String,
    progress: Option<Progress>,
    log: Vec<Line>,
    args: String,
    result: Option<String>,
    buttons: Vec<Button>,
    may_act: bool,
    address: String,
    back: String,
    /// Absent once the job has ended.
    live: Option<Live>,
}

/// A call to the outside world.
struct Effect {
    operation: String,
    look: Look,
    sent: Option<When>,
    remote_id: Option<String>,
    looks: i32,
    /// True if a person may say what became of it.
    is_open: bool,
    candidates: Vec<(String, Option<String>)>,
    address: String,
    id: Uuid,
}

/// A line of the log.
struct Line {
    when: When,
    level: String,
    message: String,
}

/// Shows it.
#[handler]
pub(in super::super) async fn show(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = job_id(&id)?;
    let stored = read(state, &visitor, id).await?;
    let shown = shown(state, &visitor, stored).await?;
    Ok(page(StatusCode::OK, &shown))
}

/// Reads an id of an address. What is none names no job.
pub(super) fn job_id(id: &str) -> Result<JobId, ApiError> {
    id.parse().map(JobId).map_err(|_| ApiError::not_found("job"))
}

async fn read(state: &AppState, visitor: &Visitor, id: JobId) -> Result<Stored, ApiError> {
    let mut tx = state.db.read(visitor.scope()?).await?;
    let job = ledger::get_job(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
    let (now, tenant_id) = (tx.now().await?, job.tenant_id);
    Ok(Stored {
        attempts: ledger::list_attempts(&mut tx, tenant_id, id).await?,
        effects: ledger::list_effects(&mut tx, tenant_id, id).await?,
        children: ledger::children(&mut tx, tenant_id, id).await?,
        progress: events::get_progress(&mut tx, tenant_id, id).await?,
        log: events::list_log(&mut tx, tenant_id, id, LINES).await?,
        tenant: tenants::store::names(&mut tx, &[tenant_id]).await?.remove(&tenant_id),
        job,
        now,
    })
}

async fn shown(state: &AppState, visitor: &Visitor, stored: Stored) -> Result<JobPage, ApiError> {
    let Stored { job, attempts, effects, children, progress, log, tenant, now } = stored;
    let audience = visitor.caller.audience();
    let may_act = visitor.may(MAY_ACT);
    let address = format!("/jobs/{}", job.id);
    let line = |row: EventRow| Line { when: When::of(row.created_at, now), level: row.level, message: row.message };
    // A person settles the call first: any other action could repeat it.
    let is_open = effects.iter().any(|effect| effect.state == EffectState::Unknown);
    let child_counts = children.counts.iter().map(|(state, count)| (words::state(*state), words::number(*count)));
    Ok(JobPage {
        frame: Frame::new(state, visitor, "Job").await?,
        kind: words::of_name(&job.kind),
        live: job.ended_at.is_none().then(|| live(&job, visitor)),
        explanation: Explanation::of(&job, &effects, now),
        facts: facts(&job, tenant, visitor),
        moments: timeline::of(&job, &attempts, audience, now),
        effects: effects.into_iter().map(|effect| effect_of(effect, &address, visitor, now)).collect(),
        child_counts: child_counts.collect(),
        children: children.newest.iter().take(10).map(|job| Row::of(job, visitor, &BTreeMap::new(), now)).collect(),
        children_address: visitor.to(&format!("/jobs?parent={}", job.id)),
        progress,
        log: log.into_iter().map(line).collect(),
        result: job.result.as_ref().map(|result| format!("{result:#}")),
        buttons: if may_act && !is_open {
            action::fitting(job.state).iter().copied().map(Button::of).collect()
        } else {
            Vec::new()
        },
        args: format!("{:#}", kinds::shown(&job.kind, job.args)),
        may_act,
        address: visitor.to(&address),
        back: visitor.to("/jobs"),
    })
}

/// The job's own stream. People in several tenants name the job's; operators need not.
fn live(job: &JobRow, visitor: &Visitor) -> Live {
    let stream = format!("/api/v1/jobs/{}/events", job.id);
    let stream = visitor.workspace.map_or(stream.clone(), |id| format!("{stream}?tenant_id={id}"));
    Live { parts: "now calls more", stream: Some(stream) }
}

/// Returns the facts of a job: a label, a value, and where the value leads to.
fn facts(job: &JobRow, tenant: Option<String>, visitor: &Visitor) -> Vec<(&'static str, String, Option<String>)> {
    let mut facts = Vec::new();
    let is_operator = visitor.caller.audience() == Audience::Operators;
    if let Some(tenant) = tenant.filter(|_| is_operator) {
        facts.push(("Workspace", tenant, Some(format!("/tenants/{}", job.tenant_id))));
    }
    if is_operator {
        facts.push(("Queue", words::of_name(&job.queue), Some(visitor.to(&format!("/jobs?queue={}", job.queue)))));
    }
    if let Some(account_id) = job.account_id {
        facts.push(("Account", account_id.to_string(), Some(visitor.to(&format!("/jobs?account={account_id}")))));
    }
    facts.push(("Attempts", job.attempt.to_string(), None));
    facts.push(("Failures", job.failures.to_string(), None));
    if job.crashes > 0 {
        facts.push(("Workers that died of it", job.crashes.to_string(), None));
    }
    if let Some(parent) = job.parent_id {
        facts.push(("Started by", parent.to_string(), Some(visitor.to(&format!("/jobs/{parent}")))));
    }
    facts.push(("Id", job.id.to_string(), None));
    facts
}

fn effect_of(row: EffectRow, job_address: &str, visitor: &Visitor, now: DateTime<Utc>) -> Effect {
    use jobs::engine::EffectState::{Confirmed, Failed, Intended, Sent, Unknown};
    let text = |candidate: &serde_json::Value, name: &str| candidate[name].as_str().map(str::to_owned);
    let candidates = row.evidence["candidates"].as_array().into_iter().flatten();
    let is_web = |address: &String| address.starts_with("https://");
    Effect {
        operation: words::of_name(&row.operation),
        look: explanation::of_effect(row.state),
        sent: row.sent_at.map(|time| When::of(time, now)),
        remote_id: row.remote_id,
        looks: row.looks,
        is_open: match row.state {
            Sent | Unknown => true,
            Intended | Confirmed | Failed => false,
        },
        candidates: candidates
            .filter_map(|one| Some((text(one, "id")?, text(one, "permalink").filter(is_web))))
            .collect(),
        address: visitor.to(&format!("{job_address}/effects/{}", row.id)),
        id: row.id,
    }
}

#[derive(Deserialize)]
struct ActionForm {
    action: String,
}

/// Does something to the job.
#[handler]
pub(in super::super) async fn act(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(id): Path<String>,
    Sent(form): Sent<ActionForm>,
) -> Result<Response> {
    let (id, action) = (job_id(&id)?, action::named(&form.action)?);
    let mut tx = state.db.write(visitor.scope()?, &visitor.caller).await.map_err(ApiError::from)?;
    let acted = operations::act_on_job(&mut tx, &state.services, visitor.caller.actor(), action, id).await;
    tell(acted, action_done(action), state, cookies)?;
    visitor.leave(tx, &format!("/jobs/{id}")).await
}

fn action_done(action: ledger::Action) -> &'static str {
    match action {
        ledger::Action::Retry => "The job runs again.",
        ledger::Action::Cancel => "The job was cancelled, or asked to stop if it runs.",
        ledger::Action::Discard => "The job was given up.",
        ledger::Action::RunNow => "The job runs now.",
        ledger::Action::ResolveSendAgain | ledger::Action::ResolveGiveUp => "The call was settled.",
    }
}

/// Keeps a notice of what was done, or of why nothing was: somebody else may have been faster.
pub(super) fn tell(
    acted: Result<JobRow, ActionError>,
    done: &str,
    state: &AppState,
    cookies: &CookieJar,
) -> Result<(), ApiError> {
    match acted {
        Ok(_) => Notice::ok(done).keep(state, cookies),
        Err(error @ (ActionError::Missing | ActionError::NoEffect | ActionError::Database(_))) => {
            return Err(error.into());
        }
        Err(refused) => Notice::bad(ApiError::from(refused).detail()).keep(state, cookies),
    }
    Ok(())
}
