//! Jobs: what a call began, until it is complete. A job that is complete may still have failures.

use chrono::{DateTime, TimeDelta, Utc};
use poem::http::StatusCode;
use serde_json::{Value, json};

use super::{Caller, Refusal, Reply, new_id};
use crate::world::World;

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    id: String,
    workspace_id: String,
    pub(super) is_import: bool,
    complete_at: DateTime<Utc>,
    payload: Payload,
}

/// The result of a job.
#[derive(Debug)]
pub(super) enum Payload {
    /// The accounts on which a post failed, each with the reason.
    Failures(Vec<Value>),
    /// Imported media.
    Media(Vec<Value>),
}

impl Payload {
    /// Returns the result in one of the forms that Publer uses.
    fn shown(&self, is_wrapped: bool) -> Value {
        match (self, is_wrapped) {
            (Self::Failures(failures), false) if failures.is_empty() => json!([]),
            (Self::Failures(failures), false) => json!({"failures": failures}),
            (Self::Failures(failures), true) => {
                let by_account = failures.iter().map(|failure| {
                    let id = failure["account_id"].as_str().unwrap_or_default().to_owned();
                    (id, json!([failure]))
                });
                json!({"failures": by_account.collect::<serde_json::Map<_, _>>()})
            }
            (Self::Media(media), false) => json!(media),
            (Self::Media(media), true) => json!({"media": media}),
        }
    }
}

impl Job {
    pub(super) fn is_working(&self, now: DateTime<Utc>) -> bool {
        now < self.complete_at
    }
}

/// Begins a job, and returns the reply that names it.
pub(super) fn begin(world: &mut World, caller: &Caller<'_>, is_import: bool, payload: Payload) -> Reply {
    let publer = &mut world.publer;
    let id = new_id();
    publer.jobs.push(Job {
        id: id.clone(),
        workspace_id: caller.workspace()?.id.clone(),
        is_import,
        complete_at: caller.now + TimeDelta::seconds(publer.settings.job_lag_seconds.into()),
        payload,
    });
    let plain = json!({"job_id": id});
    Ok(if publer.settings.wrapped_replies {
        (StatusCode::OK, json!({"success": true, "data": plain}))
    } else {
        (StatusCode::ACCEPTED, plain)
    })
}

/// Returns the time at which a job that begins now is complete.
pub(super) fn end(world: &World, now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::seconds(world.publer.settings.job_lag_seconds.into())
}

/// Shows a job.
pub(super) fn status(world: &mut World, caller: &Caller<'_>) -> Reply {
    let id = caller.incoming.segments().last().copied().unwrap_or_default();
    let workspace_id = &caller.workspace()?.id;
    let is_wrapped = world.publer.settings.wrapped_replies;
    let found = world.publer.jobs.iter().find(|job| job.id == id && job.workspace_id == *workspace_id);
    let job = found.ok_or_else(|| Refusal::missing("Job"))?;
    let is_working = job.is_working(caller.now);
    let status = if is_working { "working" } else { "complete" };
    let payload = if is_working { Value::Null } else { job.payload.shown(is_wrapped) };
    Ok((
        StatusCode::OK,
        if is_wrapped {
            let result = json!({"status": status, "payload": payload, "plan": {"rate": "business", "locked": false}});
            json!({"success": true, "data": {"status": status, "result": result}})
        } else {
            json!({"status": status, "payload": payload})
        },
    ))
}
