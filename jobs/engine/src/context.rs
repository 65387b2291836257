//! The context of a running attempt: its scope, the shared services, and fenced transactions.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    Attempt, Cause, CauseClass, Claimed, Db, Done, JobError, OnFailed, Scope, Tx,
    effects::CallOutcome,
    events::Reporter,
    failpoint::{self, Failpoint},
    parking::Rest,
    settle,
};
use crate::ids::{JobId, TenantId};

/// The context of one attempt: its own state ([`AttemptContext`]) and the services that all jobs
/// share.
#[derive(Debug)]
pub struct JobContext<S> {
    attempt: AttemptContext,
    services: Arc<S>,
}

impl<S> JobContext<S> {
    pub(super) fn new(job: &Claimed, db: Db, services: Arc<S>) -> Self {
        Self { attempt: AttemptContext::new(job, db), services }
    }

    /// Returns the services that all jobs share: see [`super::Job::Services`].
    #[must_use]
    pub fn services(&self) -> &S {
        &self.services
    }

    /// Returns the same services for a task that may outlive the attempt: see
    /// [`AttemptContext::db`].
    #[must_use]
    pub fn shared_services(&self) -> Arc<S> {
        Arc::clone(&self.services)
    }
}

impl<S> Deref for JobContext<S> {
    type Target = AttemptContext;

    fn deref(&self) -> &AttemptContext {
        &self.attempt
    }
}

/// A running attempt.
#[derive(Debug)]
pub struct AttemptContext {
    attempt: Attempt,
    failed_children: u32,
    rest: Option<Rest>,
    pub(super) events: Reporter,
    db: Db,
    shielded: Arc<AtomicBool>,
    cancelled: CancellationToken,
    outcome: Mutex<Option<CallOutcome>>,
}

impl AttemptContext {
    pub(super) fn new(job: &Claimed, db: Db) -> Self {
        Self {
            attempt: job.attempt,
            failed_children: job.failed_children,
            rest: Rest::after(job),
            events: Reporter::new(job.attempt, db.clone()),
            db,
            shielded: Arc::default(),
            cancelled: CancellationToken::new(),
            outcome: Mutex::new(None),
        }
    }

    /// Returns the tenant that owns the job.
    #[must_use]
    pub fn tenant_id(&self) -> TenantId {
        self.attempt.tenant_id
    }

    /// Returns the job's id.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        self.attempt.job_id
    }

    /// Returns the attempt, for [`super::NewJob::child_of`].
    #[must_use]
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Returns the number of its ended children that did not complete.
    #[must_use]
    pub fn failed_children(&self) -> u32 {
        self.failed_children
    }

    /// Opens a transaction in the job's scope. Make no network call while it is open: *claim, act,
    /// record*.
    pub async fn begin(&self) -> Result<AttemptTx, sqlx::Error> {
        let tx = self.db.begin(Scope::of(self.attempt.tenant_id)).await?;
        let shielded = Arc::clone(&self.shielded);
        let (attempt, rest, events) = (self.attempt, self.rest.clone(), self.events.clone());
        Ok(AttemptTx { tx, attempt, rest, events, shielded })
    }

    /// Returns the database, for a task that may outlive the attempt.
    ///
    /// Its transactions are not fenced: they also commit if a later attempt exists. So use it only
    /// for what must not get lost, such as a token that replaced another one, and what has a fence
    /// of its own.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Waits until the job is cancelled, and returns the error that the job should return then. It
    /// has half a second to tidy up before it is dropped.
    pub async fn cancelled(&self) -> JobError {
        self.cancelled.cancelled().await;
        JobError::cancelled()
    }

    /// Returns true if the job was cancelled, for loops that do not wait.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Tells the job that it is cancelled. Returns the time of that.
    pub(super) fn tell_cancelled(&self) -> Instant {
        self.cancelled.cancel();
        Instant::now()
    }

    /// Protects the attempt from interruption while a call of an effect is on its way, so that its
    /// outcome can be recorded. The next commit ends this, and so does a refusal of the call.
    pub(super) fn shield(&self) {
        self.shielded.store(true, Ordering::Release);
    }

    pub(super) fn unshield(&self) {
        self.shielded.store(false, Ordering::Release);
    }

    pub(super) fn is_shielded(&self) -> bool {
        self.shielded.load(Ordering::Acquire)
    }

    pub(super) fn note_outcome(&self, outcome: CallOutcome) {
        *self.outcome.lock().expect("no holder panics") = Some(outcome);
    }

    pub(super) fn take_outcome(&self) -> Option<CallOutcome> {
        self.outcome.lock().expect("no holder panics").take()
    }
}

/// A transaction of one attempt. It commits only while no later attempt exists; otherwise its
/// methods return [`JobError::Superseded`], which the job passes on.
#[derive(Debug)]
pub struct AttemptTx {
    tx: Tx,
    attempt: Attempt,
    /// The rest of its lane after an attempt that ends here.
    rest: Option<Rest>,
    events: Reporter,
    shielded: Arc<AtomicBool>,
}

impl AttemptTx {
    /// Locks the job's row before anything else.
    ///
    /// A transaction that writes to the audit log must begin with this. Actions of staff lock the
    /// job's row first and the audit log second: the opposite order can deadlock.
    pub async fn hold(&mut self) -> Result<(), JobError> {
        self.fence().await.map(|_| ())
    }

    /// Commits writes that do not complete the job, such as claiming a row.
    pub async fn commit(mut self) -> Result<(), JobError> {
        self.fence().await?;
        self.tx.commit().await?;
        self.shielded.store(false, Ordering::Release);
        Ok(())
    }

    /// Commits that a call may leave, unless the job is to be cancelled.
    pub(super) async fn commit_to_send(mut self) -> Result<(), JobError> {
        if self.fence().await? {
            let cause = Cause::plain(CauseClass::Cancelled, "Cancelled before anything was sent.");
            return Err(JobError::Later(Duration::ZERO, cause));
        }
        Ok(self.tx.commit().await?)
    }

    /// Commits the job's writes together with its completion.
    pub async fn complete(mut self, result: Value) -> Result<Done, JobError> {
        self.events.write_rest(&mut self.tx).await?;
        let settled = settle::complete(&mut self.tx, &[(self.attempt, result)]).await?;
        self.end(!settled.is_empty()).await
    }

    /// Commits the job's writes and waits for the children that it enqueued. The job runs again
    /// when all of them have ended. If the job is to be cancelled, nothing is committed and the
    /// error says so.
    pub async fn wait_for_children(mut self, on_failed: OnFailed) -> Result<Done, JobError> {
        self.events.write_rest(&mut self.tx).await?;
        let settled = settle::wait_for_children(&mut self.tx, self.attempt, on_failed).await?;
        if !settled && is_cancel_requested(&mut self.tx, self.attempt).await? {
            return Err(JobError::cancelled());
        }
        self.end(settled).await
    }

    pub(super) async fn suspend(mut self, verdict: &settle::Verdict, facts: &super::Facts) -> Result<Done, JobError> {
        self.events.write_rest(&mut self.tx).await?;
        let attempt = self.attempt;
        let cancel = is_cancel_requested(&mut self.tx, attempt).await?;
        let settled = settle::apply_verdict(&mut self.tx, attempt, verdict, Some(facts), cancel).await?;
        self.end(settled).await
    }

    async fn end(mut self, settled: bool) -> Result<Done, JobError> {
        if !settled {
            return Err(JobError::Superseded);
        }
        if let Some(rest) = self.rest.take() {
            rest.begin(&mut self.tx).await?;
        }
        failpoint::reach(Failpoint::BeforeRecord);
        self.tx.commit().await?;
        self.shielded.store(false, Ordering::Release);
        failpoint::reach(Failpoint::Recorded);
        self.events.committed();
        Ok(Done { result: Value::Null, settled: true })
    }

    /// Locks the attempt's row and checks that it is the latest. Returns true if the job is to be
    /// cancelled. It is the last statement before a commit, so that a rescue waits no longer than
    /// needed.
    async fn fence(&mut self) -> Result<bool, JobError> {
        sqlx::query_scalar!(
            r#"
            select cancel_requested_at is not null as "cancel_requested!"
            from jobs
            where id = $1 and attempt = $2 and state is not distinct from 'executing'
            for share
            "#,
            self.attempt.job_id.0,
            self.attempt.number
        )
        .fetch_optional(&mut *self.tx as &mut sqlx::PgConnection)
        .await?
        .ok_or(JobError::Superseded)
    }

    pub(super) fn attempt(&self) -> Attempt {
        self.attempt
    }
}

pub(super) async fn is_cancel_requested(tx: &mut Tx, attempt: Attempt) -> Result<bool, sqlx::Error> {
    let requested = sqlx::query_scalar!(
        r#"
        select cancel_requested_at is not null as "requested!"
        from jobs
        where id = $1
        "#,
        attempt.job_id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(requested.unwrap_or(false))
}

impl Deref for AttemptTx {
    type Target = Tx;

    fn deref(&self) -> &Self::Target {
        &self.tx
    }
}

impl DerefMut for AttemptTx {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.tx
    }
}
