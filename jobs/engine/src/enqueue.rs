//! Enqueueing: a job exists if and only if the transaction that asked for it committed.

mod insert;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use self::insert::{Inserted, insert};
use super::{Attempt, Job, KindSpec, Priority, Tx};
use crate::ids::{AccountId, JobId, TenantId};

/// A job to enqueue.
#[derive(Debug, Clone)]
pub struct NewJob {
    tenant_id: TenantId,
    kind: &'static str,
    queue: &'static str,
    args: Value,
    unique_key: Option<String>,
    priority: Priority,
    account_id: Option<AccountId>,
    lane: Option<Uuid>,
    run_at: Option<DateTime<Utc>>,
    parent: Option<(JobId, i16)>,
}

impl NewJob {
    /// Makes a job of `tenant_id` that is due at once.
    ///
    /// # Panics
    /// If the payload does not serialize to JSON. Plain structs always do.
    #[must_use]
    pub fn new<J: Job>(tenant_id: TenantId, job: &J) -> Self {
        Self {
            tenant_id,
            kind: J::KIND,
            queue: J::QUEUE.name(),
            args: serde_json::to_value(job).expect("payloads are plain structs"),
            unique_key: job.unique_key(),
            priority: J::PRIORITY,
            account_id: None,
            lane: None,
            run_at: None,
            parent: None,
        }
    }

    /// Makes a job of a kind that is a value, not a type.
    ///
    /// # Errors
    /// The payload does not deserialize as that kind: the caller passed a wrong payload.
    pub fn of_kind(tenant_id: TenantId, kind: &KindSpec, args: Value) -> Result<Self, serde_json::Error> {
        let (args, unique_key) = (kind.check)(args)?;
        Ok(Self {
            tenant_id,
            kind: kind.name,
            queue: kind.queue.name(),
            args,
            unique_key,
            priority: kind.priority,
            account_id: None,
            lane: None,
            run_at: None,
            parent: None,
        })
    }

    /// Replaces the payload's unique key.
    #[must_use]
    pub(super) fn keyed(mut self, key: &str) -> Self {
        self.unique_key = Some(key.to_owned());
        self
    }

    /// Sets the time at which the job is due, by the database's clock. Without it the job is due at
    /// once.
    #[must_use]
    pub fn at(mut self, time: DateTime<Utc>) -> Self {
        self.run_at = Some(time);
        self
    }

    /// Replaces the priority of its kind.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the account that the job acts on. Such a job takes turns with the tenant's other
    /// accounts, counts against the account's limit and waits while the account is parked.
    #[must_use]
    pub fn on_account(mut self, account_id: AccountId) -> Self {
        self.account_id = Some(account_id);
        self
    }

    /// Puts the job in a lane of its own sort, such as one for each endpoint that is called. It
    /// takes turns and counts against limits per account there, not with the tenant's other jobs.
    /// Has no effect on a job that acts on an account: that is its lane.
    #[must_use]
    pub fn in_lane(mut self, lane: Uuid) -> Self {
        self.lane = Some(lane);
        self
    }

    /// Sets the account that its kind names, if it names one: see [`Job::account`].
    pub async fn on_its_account(mut self, kind: &KindSpec, tx: &mut Tx) -> Result<Self, sqlx::Error> {
        self.account_id = (kind.account)(self.tenant_id, self.args.clone(), tx).await?.or(self.account_id);
        Ok(self)
    }

    /// Makes it a child of the job that `parent` is an attempt of: see
    /// [`super::AttemptTx::wait_for_children`].
    #[must_use]
    pub fn child_of(mut self, parent: &Attempt) -> Self {
        self.parent = Some((parent.job_id, parent.depth + 1));
        self
    }
}

/// The result of a request to enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// The id of the new job, or of the unfinished one with the same unique key.
    pub id: JobId,
    /// True if a job was made.
    pub is_new: bool,
}

/// The reasons why nothing was enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// A suspended job has the same unique key. Resume or cancel it first.
    #[error("job {job_id} has the same key and is suspended on {suspended_on}")]
    Suspended {
        /// The suspended job.
        job_id: JobId,
        /// The name of what it waits for.
        suspended_on: String,
    },
    /// The parent of the new job is to be cancelled.
    #[error("the parent of the job is to be cancelled")]
    ParentCancelled,
    /// The database failed.
    #[error("could not enqueue")]
    Database(#[from] sqlx::Error),
}

impl From<EnqueueError> for super::JobError {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::ParentCancelled => Self::cancelled(),
            EnqueueError::Suspended { .. } | EnqueueError::Database(_) => Self::Retry(super::Cause::new(
                super::CauseClass::Enqueue,
                "A follow-up job could not be enqueued; it is tried again.",
                error,
            )),
        }
    }
}

impl Tx {
    /// Enqueues one job.
    ///
    /// # Errors
    /// [`EnqueueError::Suspended`] if a suspended job has the same unique key.
    /// [`EnqueueError::ParentCancelled`] if the job is a child and its parent is to be cancelled.
    pub async fn enqueue(&mut self, job: NewJob) -> Result<Enqueued, EnqueueError> {
        let enqueued = self.enqueue_all(vec![job]).await?;
        Ok(enqueued[0])
    }

    /// Enqueues many jobs in one statement and returns them in their order. Of jobs that share a
    /// unique key only the first is used, and the result has one entry for them.
    ///
    /// If an unfinished job has the same key, that job is used: it keeps the earlier of the two
    /// times and the higher of the two priorities. If it is executing, it runs once more
    /// afterwards. An earlier request to cancel a waiting job is dropped.
    ///
    /// # Errors
    /// As [`Tx::enqueue`].
    pub async fn enqueue_all(&mut self, mut jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, EnqueueError> {
        let mut seen = HashSet::new();
        jobs.retain(|job| job.unique_key.is_none() || seen.insert((job.tenant_id, job.kind, job.unique_key.clone())));
        let enqueued = insert(self, &jobs).await?;
        if enqueued.len() < jobs.len() {
            return Err(find_suspended(self, &jobs).await?);
        }
        count_children(self, &jobs, &enqueued).await?;
        if enqueued.iter().any(|job| job.is_due) {
            self.wake_after_commit();
        }
        Ok(enqueued.into_iter().map(|job| Enqueued { id: job.id, is_new: job.is_new }).collect())
    }
}

async fn find_suspended(tx: &mut Tx, jobs: &[NewJob]) -> Result<EnqueueError, sqlx::Error> {
    let tenants: Vec<Uuid> = jobs.iter().map(|job| job.tenant_id.0).collect();
    let kinds: Vec<String> = jobs.iter().map(|job| job.kind.to_owned()).collect();
    let keys: Vec<Option<String>> = jobs.iter().map(|job| job.unique_key.clone()).collect();
    let job = sqlx::query!(
        r#"
        select j.id as "id: JobId", j.suspended_on as "suspended_on!"
        from jobs j
        join unnest($1::uuid[], $2::text[], $3::text[]) as asked (tenant_id, kind, unique_key)
          on j.tenant_id = asked.tenant_id and j.kind = asked.kind and j.unique_key = asked.unique_key
        where j.state = 'suspended'
        limit 1
        "#,
        &tenants,
        &kinds,
        &keys as &[Option<String>]
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(EnqueueError::Suspended { job_id: job.id, suspended_on: job.suspended_on })
}

/// Adds new children to the `pending` count of their parents, and fails if a parent is to be
/// cancelled.
///
/// The parents are executing in this transaction's attempt, so nobody settles their rows before it
/// ends. A request to cancel waits for this transaction and then finds the children.
async fn count_children(tx: &mut Tx, jobs: &[NewJob], enqueued: &[Inserted]) -> Result<(), EnqueueError> {
    if jobs.iter().all(|job| job.parent.is_none()) {
        return Ok(());
    }
    let ids: Vec<Uuid> = enqueued.iter().filter(|job| job.is_new).map(|job| job.id.0).collect();
    let cancelled = sqlx::query_scalar!(
        r#"
        update jobs parent
        set pending = pending + children.count
        from (
          select tenant_id, parent_id, count(*)::int as count
          from jobs
          where id = any($1) and parent_id is not null
          group by tenant_id, parent_id
        ) children
        where parent.tenant_id = children.tenant_id and parent.id = children.parent_id
        returning parent.cancel_requested_at is not null as "cancelled!"
        "#,
        &ids
    )
    .fetch_all(&mut **tx)
    .await?;
    if cancelled.contains(&true) { Err(EnqueueError::ParentCancelled) } else { Ok(()) }
}
