//! One action on many jobs: their selection, a preview, and the results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ActOnJobs;
use crate::{
    audit::{self, Actor, Entry},
    engine::{
        EnqueueError, Enqueued, Kind, NewJob, Tx,
        ledger::{self, Acted, ActedJob, Action, JobFilter},
    },
    ids::{JobId, TenantId},
    kinds::KINDS,
    secrets::Keyring,
    services::Services,
};

/// The maximum number of jobs in one transaction. An action on more jobs becomes a job itself.
pub const MAX_AT_ONCE: usize = 1_000;

/// The maximum number of jobs that a request counts. There may be more.
pub const MAX_COUNTED: usize = 10_000;

/// The maximum number of parts of the ledger that one request searches. Each part has 20,000 jobs.
const MAX_PARTS: usize = 25;

/// The results of an action on many jobs, or of its preview.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The number of jobs that were named or matched.
    pub matched: u64,
    /// The number of changed jobs, by their new state.
    pub done: BTreeMap<String, u64>,
    /// The same for unfinished descendants of cancelled jobs.
    pub descendants: BTreeMap<String, u64>,
    /// The number of unchanged jobs, by the code of the reason.
    pub skipped: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds the counts of another tally.
    pub fn merge(&mut self, other: Self) {
        self.matched += other.matched;
        for (mine, others) in [
            (&mut self.done, other.done),
            (&mut self.descendants, other.descendants),
            (&mut self.skipped, other.skipped),
        ] {
            for (word, count) in others {
                *mine.entry(word).or_default() += count;
            }
        }
    }

    /// Returns the results in words.
    pub(super) fn summary(&self) -> String {
        let (done, skipped): (u64, u64) = (self.done.values().sum(), self.skipped.values().sum());
        format!("{done} changed, {skipped} skipped")
    }

    /// Counts the results of some jobs.
    pub fn add(&mut self, acted: &Acted) {
        let count = |counts: &mut BTreeMap<String, u64>, word: &str| *counts.entry(word.to_owned()).or_default() += 1;
        self.matched += u64::try_from(acted.done.len() + acted.skipped.len()).unwrap_or(u64::MAX);
        for done in &acted.done {
            count(&mut self.done, done.outcome);
        }
        for done in &acted.descendants {
            count(&mut self.descendants, done.outcome);
        }
        for (_, refused) in &acted.skipped {
            count(&mut self.skipped, refused.code());
        }
    }
}

/// The jobs that a filter matches.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The newest of them.
    pub ids: Vec<JobId>,
    /// True if these are all.
    pub is_complete: bool,
}

/// Returns the jobs that a filter matches, up to `at_most`.
pub async fn select(tx: &mut Tx, filter: &JobFilter, at_most: usize) -> Result<Selection, sqlx::Error> {
    let mut filter = filter.clone();
    let mut ids = Vec::new();
    for _ in 0..MAX_PARTS {
        // One more than allowed, to find out if there are more.
        let room = i64::try_from(at_most + 1 - ids.len()).unwrap_or(i64::MAX);
        let part = ledger::list_jobs(tx, KINDS, &filter, room).await?;
        ids.extend(part.jobs.iter().map(|job| job.id));
        if ids.len() > at_most {
            ids.truncate(at_most);
            break;
        }
        filter.after = part.next;
        if filter.after.is_none() {
            return Ok(Selection { ids, is_complete: true });
        }
    }
    Ok(Selection { ids, is_complete: false })
}

/// Returns the results that an action would have. Nothing is changed.
pub async fn preview_selection(
    tx: &mut Tx,
    kinds: &[Kind],
    action: Action,
    ids: &[JobId],
) -> Result<Tally, sqlx::Error> {
    let mut tally = Tally::default();
    for chunk in ids.chunks(MAX_AT_ONCE) {
        tally.add(&ledger::preview(tx, kinds, action, chunk).await?);
    }
    Ok(tally)
}

/// Does an action to jobs, and writes it to the audit log.
pub async fn act_on_selection(
    tx: &mut Tx,
    kinds: &[Kind],
    order: &Order<'_>,
    ids: &[JobId],
) -> Result<Tally, sqlx::Error> {
    let acted = ledger::act(tx, kinds, order.action, ids).await?;
    record(tx, order, &acted).await?;
    let mut tally = Tally::default();
    tally.add(&acted);
    Ok(tally)
}

/// The result of an action on many jobs, or the job that will act on them.
#[derive(Debug, Clone)]
pub enum ActedOnMany {
    /// The action is done.
    Done(Tally),
    /// There are too many jobs for one transaction; a job acts on them.
    Enqueued {
        /// The job.
        job: Enqueued,
        /// The number of jobs that match, or that were found to match so far.
        matched: u64,
        /// True if these are all.
        is_complete: bool,
    },
}

/// Acts on the jobs that match a filter and exist now: at once, or by a job.
pub async fn act_on_filter(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    action: Action,
    mut filter: JobFilter,
) -> Result<ActedOnMany, EnqueueError> {
    let now = tx.now().await?;
    filter.until = Some(filter.until.map_or(now, |until| until.min(now)));
    let Selection { ids, is_complete } = select(tx, &filter, MAX_COUNTED).await?;
    let keyring = &services.keyring;
    if is_complete && ids.len() <= MAX_AT_ONCE {
        let order = Order { keyring, actor, action, asked: &json!(filter), job_id: None };
        return Ok(ActedOnMany::Done(act_on_selection(tx, KINDS, &order, &ids).await?));
    }
    let tenant_id = filter.tenant_id.unwrap_or(TenantId::SYSTEM);
    let details = json!({ "asked": filter, "action": action });
    let matched = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    let job = ActOnJobs { action, filter, actor: actor.clone(), expected: matched };
    let job = tx.enqueue(NewJob::new(tenant_id, &job)).await?;
    let entry = Entry::new(tenant_id, &format!("jobs.{}.enqueue", action.name()), "jobs", job.id, details);
    audit::append(tx, keyring, actor, &[entry]).await?;
    Ok(ActedOnMany::Enqueued { job, matched, is_complete })
}

/// An action, who requests it, and the words of the request.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Signs the entries for the audit log.
    pub keyring: &'a Keyring,
    /// The actor.
    pub actor: &'a Actor,
    /// The action.
    pub action: Action,
    /// The requested jobs: the filter, or a remark.
    pub asked: &'a Value,
    /// The job that does it, if it is one.
    pub job_id: Option<JobId>,
}

/// Appends one audit entry for each tenant with changed jobs.
async fn record(tx: &mut Tx, order: &Order<'_>, acted: &Acted) -> Result<(), sqlx::Error> {
    let mut tenants: BTreeMap<TenantId, Vec<&ActedJob>> = BTreeMap::new();
    for done in acted.done.iter().chain(&acted.descendants) {
        tenants.entry(done.tenant_id).or_default().push(done);
    }
    let entries: Vec<Entry> = tenants
        .into_iter()
        .map(|(tenant_id, done)| {
            let mut outcomes: BTreeMap<&str, Vec<JobId>> = BTreeMap::new();
            for done in done {
                outcomes.entry(done.outcome).or_default().push(done.id);
            }
            Entry {
                tenant_id,
                action: format!("jobs.{}", order.action.name()),
                object_type: "jobs",
                object_id: order.job_id.map_or_else(|| "bulk".to_owned(), |id| id.to_string()),
                details: json!({ "asked": order.asked, "outcomes": outcomes }),
            }
        })
        .collect();
    audit::append(tx, order.keyring, order.actor, &entries).await
}
