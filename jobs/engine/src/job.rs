//! What a kind of job is, and what an attempt can come to.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Cause, CauseClass, Facts, JobContext, Tx, cause::storable};
use crate::ids::{AccountId, TenantId};

/// A kind of job. The struct is the payload: ids and small plain values, never a secret.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What all jobs of the program share: clients, configuration. [`JobContext::services`] has it.
    type Services: Send + Sync + 'static;

    /// The name in the ledger. Never changes while work waits under it.
    const KIND: &'static str;
    /// Which workers run it.
    const QUEUE: Queue;
    /// When a failed attempt is tried again.
    const RETRY: Retry;
    /// How long one attempt may take.
    const TIMEOUT: Duration = Duration::from_mins(1);
    /// Before or after other work that is due.
    const PRIORITY: Priority = Priority::Normal;
    /// Fields of the payload that nobody is shown, at any depth.
    const REDACTED: &'static [&'static str] = &[];
    /// The permission for what it does, such as `posts:publish`: whoever enqueues it through the API (`POST /jobs`) needs it
    /// besides `jobs:write`. `None`: nobody enqueues it there, because the payload says what is not for callers to say.
    const PERMISSION: Option<&'static str> = None;
    /// Whether one that was cancelled before its time waits for that time again when it is retried, instead of running at once.
    const KEEPS_TIME: bool = false;

    /// At most one unfinished job of this kind and tenant has this key.
    fn unique_key(&self) -> Option<String> {
        None
    }

    /// The account that it acts on, for whoever enqueues it knowing no more than its payload (`POST /jobs`). Whoever knows
    /// the account says so by [`super::NewJob::on_account`].
    ///
    /// # Errors
    /// A database error.
    fn account(
        &self,
        _tenant_id: TenantId,
        _tx: &mut Tx,
    ) -> impl Future<Output = Result<Option<AccountId>, sqlx::Error>> + Send {
        async { Ok(None) }
    }

    /// Does the work. May run twice: its doc comment says why that is harmless.
    fn run(self, cx: &JobContext<Self::Services>) -> impl Future<Output = Result<Done, JobError>> + Send;

    /// Lets the job's own rows follow when an attempt did not complete it, in the transaction that settles the attempt.
    ///
    /// # Errors
    /// A database error. One that passes by itself is tried again; after another, or a panic, the attempt settles without its
    /// rows.
    fn on_not_completed(
        &self,
        _tenant_id: TenantId,
        _tx: &mut Tx,
        _what: &NotCompleted,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send {
        async { Ok(()) }
    }
}

/// Where a kind runs: each queue has slots of its own in a worker, so that slow work holds up none of another sort. It needs a
/// row in the table `queues`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue(&'static str);

impl Queue {
    /// The queue of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// Which due work goes first. Inside a priority tenants and their accounts take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Before others.
    High,
    /// As it comes.
    Normal,
    /// When nothing else waits, and one slot in ten.
    Low,
}

impl Priority {
    /// As the ledger has it: 1 to 3.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }
}

/// What a parent does when its children ended and one of them did not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailed {
    /// It goes on; [`super::AttemptContext::failed_children`] tells how many.
    GoOn,
    /// It fails.
    Fail,
}

/// The waits before the second, third, ... attempt; a failure past the last discards the job. Each wait is stretched by
/// up to a quarter at random, so that what failed together does not come back together.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    waits: &'static [Duration],
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Retry {
    /// For work that waits on a service that may be down for hours: 12 attempts in about a day.
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
    /// For work that a failure of ours or of a person's input would only repeat.
    pub const NEVER: Self = Self { waits: &[] };

    /// The wait after failure number `failures` (from 1), stretched by `jitter` in 0..1; `None`: give up.
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
    /// What the job shows as its result.
    pub(super) result: Value,
    /// Whether the completion was committed together with the job's own writes.
    pub(super) settled: bool,
}

impl Done {
    /// There was nothing to do, for this reason; nothing was written.
    #[must_use]
    pub fn nothing(reason: &str) -> Self {
        Self { result: serde_json::json!({ "nothing": storable(reason) }), settled: false }
    }
}

/// What is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parked {
    /// The job alone; a person retries it.
    Job,
    /// Everything on an account: connecting it again ends that, see [`super::ledger::resume_accounts`].
    Account(AccountId),
}

impl Parked {
    /// What `jobs.suspended_on` says.
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

/// Why an attempt did not complete, as a decision. Client errors convert by `From`, so that `?` decides.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Try again after the policy's next wait; counts a failure.
    #[error("failed, may be tried again")]
    Retry(#[source] Cause),
    /// Try again after this long; costs nothing, capped by the time since the job was first due.
    #[error("snoozed")]
    Later(Duration, #[source] Cause),
    /// Will never work.
    #[error("failed for good")]
    Fail(#[source] Cause),
    /// Wait, at no cost, for so long; without a time until a person ends it.
    #[error("parked")]
    Park(Parked, Option<Duration>, #[source] Cause),
    /// A call may have happened: read back after this long.
    #[error("an effect is open")]
    Reconcile(Duration, #[source] Cause),
    /// Another attempt of this job exists; nothing of this one may be written.
    #[error("superseded by another attempt")]
    Superseded,
}

impl JobError {
    /// Somebody cancelled the job. The ledger knows that: whatever the error, a job that was to be cancelled ends cancelled.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::Later(Duration::ZERO, Cause::plain(CauseClass::Cancelled, "Somebody asked to cancel it."))
    }

    /// What went wrong, unless the attempt was merely overtaken.
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

/// What becomes of a job whose attempt did not complete it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCompleted {
    /// It runs again by itself.
    Again(Facts),
    /// It reads back what became of a call, by itself.
    Reconciling(Facts),
    /// It waits for something that is not time.
    Parked(Facts),
    /// It will not run again.
    Discarded(Facts),
    /// Somebody cancelled it.
    Cancelled,
    /// It had failed or been cancelled, and somebody has it run again.
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
