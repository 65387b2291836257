//! Effects: calls that the outside world sees. Each happens at most once, even if a process dies in
//! between.
//!
//! `intended` proves that nothing was sent. `sent` is committed immediately before the first byte,
//! and an attempt that finds it only reads back. From `sent` an effect becomes `confirmed`, or
//! `intended` again after a definite refusal. It becomes `failed` if nothing will ever be sent
//! under the key again, and `unknown` if reading back did not find the result in time.

mod look;
mod outcome;
mod record;
mod rows;
mod sent;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use look::{Candidate, Doubt, Likeness};
pub(super) use outcome::{CallOutcome, record_outcome};
use outcome::{Look, What};
pub(super) use rows::claim_remote;
use rows::{Row, get, insert};
pub use sent::{ProviderClock, Sent, SentWindow};

use super::{
    AttemptContext, Cause, CauseClass, EffectState, JobError,
    failpoint::{self, Failpoint},
};
use crate::ids::{AccountId, EffectId};

/// The description of a call that must happen at most once.
#[derive(Debug, Clone)]
pub struct EffectSpec {
    /// The idempotency key, unique in the tenant, such as `delivery:<id>`.
    pub key: String,
    /// The provider's operation, such as `network.publish`.
    pub operation: &'static str,
    /// The account that the call acts on.
    pub account_id: AccountId,
    /// The network's name.
    pub network: &'static str,
    /// The network's id of the account. Several tenants may have connected the same account.
    pub remote_account: String,
    /// A digest of what reading back compares. Effects of one remote account with the same digest
    /// cannot be told apart by it.
    pub request_digest: String,
    /// The time limit of the call.
    pub timeout: Duration,
    /// The time that the provider may take to show the result of the call.
    pub lag: Duration,
    /// The time after the call during which the result is looked for. At least the lag.
    pub patience: Duration,
}

/// The result of a call as the provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The provider's id.
    pub id: String,
    /// The public address.
    pub permalink: Option<String>,
}

/// The deadline until which bytes of a call may leave. The caller's client checks it at each write.
///
/// It is monotonic and taken before `sent` is committed, so that a process that slept in between
/// sends nothing late.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns a deadline this far from now.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    /// Returns the remaining time, or zero after the deadline.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// The reasons why a call returned no id.
#[derive(Debug)]
pub enum SendError {
    /// The provider refused, or nothing was sent: the call did not happen. The error decides what
    /// the job does next.
    Refused(JobError),
    /// It may have happened.
    Unclear(Cause),
}

/// The outcome of an effect.
#[derive(Debug)]
pub enum Answer {
    /// The call happened, now or earlier: then reading back found it.
    Happened(Receipt, Remote),
    /// The call may have happened, and reading back cannot tell: a person has to look.
    Unknown(Receipt, Doubt),
}

/// A claim on an effect's row, to be recorded in one transaction with the job's own rows.
#[derive(Debug)]
pub struct Receipt {
    effect_id: EffectId,
    /// True if the result was found by reading back.
    pub was_read_back: bool,
    /// The look that ended in doubt.
    look: Option<Look>,
}

impl Receipt {
    fn new(effect_id: EffectId, was_read_back: bool) -> Self {
        Self { effect_id, was_read_back, look: None }
    }

    /// Returns the receipt of a result that turned out to belong to another effect.
    #[must_use]
    pub fn doubted(self, remote: &Remote) -> Self {
        let look = Look { effect_id: self.effect_id, is_complete: true, candidates: vec![remote.clone()] };
        Self { look: Some(look), ..self }
    }
}

impl AttemptContext {
    /// Makes a call at most once. Calls `send` only if nothing was sent under this key before.
    /// Otherwise `read_back` lists candidates that the provider shows, oldest first. The caller
    /// records the result.
    ///
    /// # Errors
    /// The decision of [`SendError::Refused`], or [`JobError::Reconcile`] while the outcome is not
    /// clear yet. Return either from the job: its settlement records the outcome.
    pub async fn once<S, R>(
        &self,
        spec: &EffectSpec,
        send: impl FnOnce(Deadline) -> S,
        read_back: impl FnOnce(Sent) -> R,
    ) -> Result<Answer, JobError>
    where
        S: Future<Output = Result<Remote, SendError>> + Send,
        R: Future<Output = Result<Vec<Candidate>, JobError>> + Send,
    {
        self.shield();
        let deadline = Deadline::after(spec.timeout);
        let row = self.mark_sent(spec).await.inspect_err(|_| self.unshield())?;
        match (row.state, &row.remote_id) {
            (EffectState::Intended, _) => {
                failpoint::reach(Failpoint::Sent);
                let outcome = if deadline.left().is_zero() { Err(too_late()) } else { send(deadline).await };
                failpoint::reach(Failpoint::Answered);
                // The attempt stays shielded after a success: the result must be recorded before
                // anything interrupts it. A failure is noted for the settlement.
                self.answer(row.id, outcome).inspect_err(|_| self.unshield())
            }
            (EffectState::Confirmed | EffectState::Sent, Some(id)) => {
                let remote = Remote { id: id.clone(), permalink: None };
                Ok(Answer::Happened(Receipt::new(row.id, true), remote))
            }
            (EffectState::Sent, None) if row.seconds_left <= 0.0 => {
                let seen = read_back(row.sent()).await;
                self.compare(spec, &row, seen).await
            }
            (EffectState::Sent, None) => {
                let wait = Duration::try_from_secs_f64(row.seconds_left).unwrap_or_default();
                Err(JobError::Reconcile(
                    wait,
                    Cause::plain(CauseClass::Ambiguous, "An earlier call may still be on its way."),
                ))
            }
            (EffectState::Unknown, _) => Ok(Answer::Unknown(Receipt::new(row.id, true), Doubt::NotSeen)),
            (EffectState::Failed, _) | (EffectState::Confirmed, None) => Err(JobError::Fail(Cause::plain(
                CauseClass::Permanent,
                "This was refused for good before and is not sent again; make a new post.",
            ))),
        }
    }

    /// Stores evidence that tells an effect from similar ones, before anything is sent: the ids of
    /// media that were uploaded for it.
    pub async fn keep_media(&self, spec: &EffectSpec, media: &[String]) -> Result<(), JobError> {
        let mut tx = self.begin().await?;
        insert(&mut tx, spec).await?;
        rows::keep_media(&mut tx, spec, media).await?;
        tx.commit().await
    }

    /// Gives up an effect with an unknown outcome, so that nothing is sent under its key again.
    /// Returns the error that ends the job.
    #[must_use]
    pub fn give_up(&self, receipt: Receipt, cause: Cause) -> JobError {
        let fact = json!({ "given_up": cause.facts() });
        self.note_outcome(CallOutcome { effect_id: receipt.effect_id, what: What::GivenUp(fact, receipt.look) });
        JobError::Fail(cause)
    }

    /// Stores the outcome of a call when the attempt is handed back. If that fails, the next
    /// attempt reads back.
    pub(super) async fn keep_outcome(&self) {
        let Some(outcome) = self.take_outcome() else {
            return;
        };
        let kept = async {
            let mut tx = self.begin().await?;
            record_outcome(&mut tx, *self.attempt(), &outcome).await?;
            tx.commit().await
        };
        if let Err(error) = kept.await {
            tracing::warn!(job_id = %self.job_id(), %error, "what came of a call is not kept; it is read back");
        }
    }

    /// Finds the effect and commits `sent` if nothing was sent before. Otherwise nothing is sent,
    /// and the commit ends the shield. Returns the row as it was before.
    async fn mark_sent(&self, spec: &EffectSpec) -> Result<Row, JobError> {
        let mut tx = self.begin().await?;
        insert(&mut tx, spec).await?;
        let row = get(&mut tx, spec).await?;
        if row.state == EffectState::Intended {
            rows::mark_sent(&mut tx, spec, row.id).await?;
            failpoint::reach(Failpoint::BeforeSent);
            tx.commit_to_send().await.inspect_err(|error| self.note_outcome(not_sent(row.id, error)))?;
        } else {
            tx.commit().await?;
        }
        Ok(row)
    }

    fn answer(&self, effect_id: EffectId, outcome: Result<Remote, SendError>) -> Result<Answer, JobError> {
        let (what, answer) = match outcome {
            Ok(remote) => {
                // If the response cannot be recorded with the rows that depend on it, the
                // settlement of the attempt keeps it.
                let what = What::Answered(json!({ "answered": remote.id }), remote.id.clone());
                (what, Ok(Answer::Happened(Receipt::new(effect_id, false), remote)))
            }
            Err(SendError::Refused(error)) => {
                let fact = json!({ "refused": error.cause().map(Cause::facts) });
                let for_good = matches!(error, JobError::Fail(_));
                (if for_good { What::RefusedForGood(fact) } else { What::NotHappened(fact) }, Err(error))
            }
            Err(SendError::Unclear(cause)) => {
                let what = What::Unclear(json!({ "unclear": cause.facts() }));
                (what, Err(JobError::Reconcile(Duration::from_secs(1), cause)))
            }
        };
        self.note_outcome(CallOutcome { effect_id, what });
        answer
    }
}

/// The outcome of an attempt that sends nothing because the commit of `sent` failed. That commit
/// may have arrived all the same, if only its response was lost.
fn not_sent(effect_id: EffectId, error: &JobError) -> CallOutcome {
    let fact: Value = json!({ "not_sent": error.cause().map(Cause::facts) });
    CallOutcome { effect_id, what: What::NotHappened(fact) }
}

/// The error for a commit of `sent` that took as long as the whole call may take.
fn too_late() -> SendError {
    SendError::Refused(JobError::Retry(Cause::plain(
        CauseClass::Timeout,
        "The database was too slow: nothing was sent.",
    )))
}
