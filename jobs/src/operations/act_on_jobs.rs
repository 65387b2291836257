//! Runs an operator's action on many jobs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Order, Tally, act_on_selection};
use crate::{
    audit::Actor,
    engine::{
        Done, Job, JobContext, JobError, Queue, Retry,
        ledger::{self, Action, JobFilter},
    },
    kinds::KINDS,
    queues,
    services::Services,
};

/// The number of jobs in one transaction.
const CHUNK: i64 = 500;

/// Does `action` to every job that `filter` matches.
///
/// Safe to repeat: each chunk is committed with the place where the next one begins. An action that
/// a job already had is refused the second time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActOnJobs {
    /// The action.
    pub action: Action,
    /// The filter of the jobs. Its `until` excludes this job and every later one.
    pub filter: JobFilter,
    /// The operator who requested it.
    pub actor: Actor,
    /// The number of jobs that matched at the request, as far as they were counted.
    #[serde(default)]
    pub expected: u64,
}

/// The progress so far.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// The results so far.
    #[serde(flatten)]
    tally: Tally,
    /// The last job of the ledger that was examined.
    place: Option<(DateTime<Utc>, Uuid)>,
}

impl Job for ActOnJobs {
    type Services = Services;

    const KIND: &'static str = "act_on_jobs";
    /// The payload names the actor for the audit log, and a caller must not choose that.
    const PERMISSION: Option<&'static str> = None;
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::PATIENT;
    const TIMEOUT: Duration = Duration::from_hours(1);
    const REDACTED: &'static [&'static str] = &["remote_address"];

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut progress = read_progress(cx).await?;
        let asked = json!(self.filter);
        loop {
            let mut tx = cx.begin().await?;
            tx.hold().await?;
            let filter = JobFilter { after: progress.place, ..self.filter.clone() };
            let part = ledger::list_jobs(&mut tx, KINDS, &filter, CHUNK).await?;
            let ids: Vec<_> = part.jobs.iter().map(|job| job.id).filter(|id| *id != cx.job_id()).collect();
            let order = Order {
                keyring: &cx.services().keyring,
                actor: &self.actor,
                action: self.action,
                asked: &asked,
                job_id: Some(cx.job_id()),
            };
            let tally = act_on_selection(&mut tx, KINDS, &order, &ids).await?;
            progress.tally.merge(tally);
            progress.place = part.next;
            if progress.place.is_none() {
                return tx.complete(json!(progress.tally)).await;
            }
            tx.checkpoint(&json!(progress)).await?;
            let matched = progress.tally.matched;
            cx.progress(matched, matched.max(self.expected), &progress.tally.summary());
        }
    }
}

async fn read_progress(cx: &JobContext) -> Result<Progress, JobError> {
    let progress = cx.last_checkpoint().await?;
    Ok(progress.and_then(|progress| serde_json::from_value(progress).ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
