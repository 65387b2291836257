//! Workers, and what each runs.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use jobs::engine::{
    Scope,
    stats::{self, Running, WorkerRow},
};
use poem::{Response, Result, handler, http::StatusCode, web::Data};

use crate::{
    ApiError,
    console::{
        frame::Frame,
        notice::Tone,
        visitor::Visitor,
        words::{self, Look, When},
    },
    html::page,
    state::AppState,
};

/// The most running jobs that are shown of a worker.
const SHOWN: usize = 20;

#[derive(askama::Template)]
#[template(path = "console/engine/workers.html")]
struct WorkersPage {
    frame: Frame,
    workers: Vec<Worker>,
}

/// A worker process.
struct Worker {
    name: String,
    look: Look,
    heartbeat: String,
    started: When,
    /// Its slots by queue: the queue, running jobs, slots.
    slots: Vec<(String, usize, i64)>,
    running: Vec<Run>,
    /// The number of running jobs that are not shown.
    more: usize,
}

/// A running job.
struct Run {
    kind: String,
    address: String,
    since: When,
    attempt: i32,
}

impl Worker {
    fn of(row: WorkerRow, running: &[Running], visitor: &Visitor, now: DateTime<Utc>) -> Self {
        let run = |job: &Running| Run {
            kind: words::of_name(&job.kind),
            address: visitor.to(&format!("/jobs/{}", job.id)),
            since: When::of(job.started_at.unwrap_or(now), now),
            attempt: job.attempt,
        };
        let of_queue = |queue: &str| running.iter().filter(|job| job.queue == queue).count();
        let slots = row.queues.0.iter().map(|(queue, slots)| (words::of_name(queue), of_queue(queue), *slots));
        #[expect(clippy::cast_possible_truncation, reason = "seconds since the last heartbeat")]
        let heartbeat = TimeDelta::seconds(row.heartbeat_seconds.max(0.0) as i64);
        Self {
            look: if row.is_alive { Look::of_tone(Tone::Ok, "Alive") } else { Look::of_tone(Tone::Bad, "Dead") },
            heartbeat: words::duration(heartbeat),
            started: When::of(row.started_at, now),
            slots: slots.collect(),
            running: running.iter().take(SHOWN).map(run).collect(),
            more: running.len().saturating_sub(SHOWN),
            name: row.name,
        }
    }
}

/// Shows them.
#[handler]
pub(in super::super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    visitor.caller.operator()?;
    let (workers, now) = async {
        let mut tx = state.db.read(Scope::System).await?;
        let now = tx.now().await?;
        let workers = stats::list_workers(&mut tx).await?;
        let mut running: BTreeMap<_, Vec<Running>> = BTreeMap::new();
        for job in stats::list_running(&mut tx).await? {
            running.entry(job.worker_id).or_default().push(job);
        }
        let with_jobs = workers.into_iter().map(|row| {
            let jobs = running.remove(&row.id).unwrap_or_default();
            (row, jobs)
        });
        Ok::<_, ApiError>((with_jobs.collect::<Vec<_>>(), now))
    }
    .await?;
    let frame = Frame::new(state, &visitor, "Workers").await?;
    let workers = workers.into_iter().map(|(row, jobs)| Worker::of(row, &jobs, &visitor, now)).collect();
    Ok(page(StatusCode::OK, &WorkersPage { frame, workers }))
}
