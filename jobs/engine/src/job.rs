//! The trait of a kind of job, and the outcomes of its attempts.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Cause, CauseClass, Facts, JobContext, Tx, cause::storable};
use crate::ids::{AccountId, TenantId};

/// A kind of job. The struct is the payload: ids and small plain values, never a secret.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The services that all jobs of the program share, such as clients and configuration. See
    /// [`JobContext::services`].
    type Services: Send + Sync + 'static;

    /// The name in the ledger. Never changes while work waits under it.
    const KIND: &'static str;
    /// The queue that it runs in, which decides on the workers.
    const QUEUE: Queue;
    /// The retry policy: the waits after failed attempts.
    const RETRY: Retry;
    /// The time limit of one attempt.
    const TIMEOUT: Duration = Duration::from_mins(1);
    /// The priority among due jobs.
    const PRIORITY: Priority = Priority::Normal;
    /// Fields of the payload that are hidden from everybody, at any depth.
    const REDACTED: &'static [&'static str] = &[];
    /// The permission for what it does, such as `posts:publish`. Callers of `POST /jobs` need it
    /// besides `jobs:write`. `None` if callers must not choose the payload: the API refuses it.
    const PERMISSION: Option<&'static str> = None;
    /// True if a job that was cancelled before its time waits for that time when it is retried.
    /// Otherwise it runs at once.
    const KEEPS_TIME: bool = false;

    /// Returns the unique key. At most one unfinished job of this kind and tenant has it.
    fn unique_key(&self) -> Option<String> {
        None
    }

    /// Returns the account that it acts on. Callers use this who only know the payload (`POST
    /// /jobs`). Callers that know the account set it by [`super::NewJob::on_account`].
    fn account(
        &self,
        _tenant_id: TenantId,
        _tx: &mut Tx,
    ) -> impl Future<Output = Result<Option<AccountId>, sqlx::Error>> + Send {
        async { Ok(None) }
    }

    /// Does the work. It may run twice: its doc comment says why it is idempotent.
    fn run(self, cx: &JobContext<Self::Services>) -> impl Future<Output = Result<Done, JobError>> + Send;

    /// Updates the rows that belong to the job when an attempt did not complete it, in the
    /// transaction that settles the attempt.
    ///
    /// # Errors
    /// After a transient database error the settlement is tried again. After another error, or a
    /// panic, the attempt settles without these updates.
    fn on_not_completed(
        &self,
        _tenant_id: TenantId,
        _tx: &mut Tx,
        _what: &NotCompleted,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send {
        async { Ok(()) }
    }
}

/// The queue of a kind. Each queue has its own slots in a worker, so that slow work does not
/// hold up other work. It needs a row in the table `queues`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue(&'static str);

impl Queue {
    /// Makes the queue of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Returns the name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// The priority of due jobs. Inside a priority tenants and their accounts take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Before all others: a person waits for it in a browser.
    Interactive,
    /// Runs before others.
    High,
    /// Runs in order.
    Normal,
    /// Runs if nothing else waits, and in one slot of ten.
    Low,
}

impl Priority {
    /// Returns the number in the ledger: 1 to 3.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Interactive => 0,
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }
}

/// The reaction of a parent if one of its children did not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailed {
    /// The parent goes on. [`super::AttemptContext::failed_children`] returns their number.
    GoOn,
    /// The parent fails.
    Fail,
}

/// A retry policy: the list of backoff waits before the second, third, ... attempt. A failure after
/// the last wait discards the job. Jitter adds up to a quarter to each wait, so that jobs that
/// failed together do not return together.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    waits: &'static [Duration],
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Retry {
    /// For work that depends on a service that may be down for hours: 12 attempts in about a day.
    pub const PATIENT: Self = Self {
        waits: &[
            seconds(2),
            seconds(10),
            seconds(30),
            seconds(60),
            seconds(300),
            seconds(900),
            seconds(1_800),
            seconds(3_600),
            seconds(7_200),
            seconds(21_600),
            seconds(43_200),
        ],
    };
    /// For work that somebody waits for: 5 attempts in about a minute and a half.
    pub const QUICK: Self = Self { waits: &[seconds(1), seconds(5), seconds(20), seconds(60)] };
    /// For work that is not retried, because the same input would fail again.
    pub const NEVER: Self = Self { waits: &[] };

    /// Returns the wait after failure number `failures` (from 1), or `None` to give up. A `jitter`
    /// in 0..1 adds up to a quarter.
    #[must_use]
    pub fn wait(&self, failures: u32, jitter: f64) -> Option<Duration> {
        let index = usize::try_from(failures.max(1) - 1).unwrap_or(usize::MAX);
        let wait = self.waits.get(index)?;
        Some(wait.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 4.0))
    }
}

/// A completed attempt.
#[derive(Debug)]
pub struct Done {
    /// The result that the job shows.
    pub(super) result: Value,
    /// True if the completion was committed together with the job's own writes.
    pub(super) settled: bool,
}

impl Done {
    /// Completes a job that had nothing to do, for this reason, and that wrote nothing.
    #[must_use]
    pub fn nothing(reason: &str) -> Self {
        Self { result: serde_json::json!({ "nothing": storable(reason) }), settled: false }
    }
}

/// The thing that is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parked {
    /// Only the job. A person retries it.
    Job,
    /// All jobs of an account. Connecting it again ends the park: see
    /// [`super::ledger::resume_accounts`].
    Account(AccountId),
}

impl Parked {
    /// Returns the value of `jobs.suspended_on`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Job => "person".to_owned(),
            Self::Account(id) => format!("account:{id}"),
        }
    }

    pub(super) fn account(self) -> Option<AccountId> {
        match self {
            Self::Job => None,
            Self::Account(id) => Some(id),
        }
    }
}

/// The reason why an attempt did not complete, which decides what happens next. Client errors
/// convert by `From`, so that `?` decides.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Retry after the policy's next wait. It counts as a failure.
    #[error("the attempt failed, and the job is retried")]
    Retry(#[source] Cause),
    /// Try again after this long. It costs no failure. A job is given up if it was first due too
    /// long ago.
    #[error("the job runs again later")]
    Later(Duration, #[source] Cause),
    /// Never retry: it cannot succeed.
    #[error("the job failed for good")]
    Fail(#[source] Cause),
    /// Wait at no cost for this long, or until a person ends the park if there is no time.
    #[error("the job is parked")]
    Park(Parked, Option<Duration>, #[source] Cause),
    /// Read back after this long, because a call may have happened.
    #[error("the outcome of a call is open")]
    Reconcile(Duration, #[source] Cause),
    /// Stop: a later attempt of this job exists, and nothing of this one may be written.
    #[error("another attempt took the job over")]
    Superseded,
}

impl JobError {
    /// Returns the error of a cancelled job. The ledger knows of the cancellation: a job that is to
    /// be cancelled ends as cancelled after any error.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::Later(Duration::ZERO, Cause::plain(CauseClass::Cancelled, "Somebody asked to cancel it."))
    }

    /// Returns the cause, or `None` if the attempt was superseded.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Retry(cause)
            | Self::Later(_, cause)
            | Self::Fail(cause)
            | Self::Park(_, _, cause)
            | Self::Reconcile(_, cause) => Some(cause),
            Self::Superseded => None,
        }
    }
}

impl From<sqlx::Error> for JobError {
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(Cause::new(CauseClass::Database, "The database did not answer; it is tried again.", error))
    }
}

impl From<anyhow::Error> for JobError {
    fn from(error: anyhow::Error) -> Self {
        Self::Retry(Cause::new(CauseClass::Internal, "Something failed on our side; it is tried again.", error))
    }
}

/// The next state of a job whose attempt did not complete it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCompleted {
    /// The job runs again by itself.
    Again(Facts),
    /// The job reads back the result of a call, by itself.
    Reconciling(Facts),
    /// The job waits for something other than time.
    Parked(Facts),
    /// The job will not run again.
    Discarded(Facts),
    /// The job was cancelled.
    Cancelled,
    /// The job had been discarded or cancelled, and staff runs it again.
    BroughtBack,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_the_list_and_then_end() {
        assert_eq!(Retry::QUICK.wait(1, 0.0), Some(seconds(1)));
        assert_eq!(Retry::QUICK.wait(4, 0.0), Some(seconds(60)));
        assert_eq!(Retry::QUICK.wait(5, 0.0), None);
        assert_eq!(Retry::NEVER.wait(1, 0.0), None);
    }

    #[test]
    fn jitter_stretches_by_at_most_a_quarter() {
        assert_eq!(Retry::QUICK.wait(3, 1.0), Some(seconds(25)));
    }
}
