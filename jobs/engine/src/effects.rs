//! Effects: calls that the outside world sees. Each happens at most once, whatever dies in between.
//!
//! `intended` proves that nothing left. `sent` is committed immediately before the first byte; who finds it later only
//! reads back. From there: `confirmed`, back to `intended` after a definite refusal, `failed` when nothing will ever be
//! sent under the key again, or `unknown` when reading back did not find it in time.

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

/// What is to happen at most once.
#[derive(Debug, Clone)]
pub struct EffectSpec {
    /// Unique in the tenant, such as `delivery:<id>`.
    pub key: String,
    /// The provider's operation, such as `network.publish`.
    pub operation: &'static str,
    /// The account it happens on.
    pub account_id: AccountId,
    /// The network's name.
    pub network: &'static str,
    /// What the network calls the account: several tenants may have connected it.
    pub remote_account: String,
    /// A digest of what reading back goes by: effects of one remote account with the same digest look the same there.
    pub request_digest: String,
    /// How long the call may take.
    pub timeout: Duration,
    /// How long after the call the provider may take to show what it did.
    pub lag: Duration,
    /// How long after the call it is looked for if it is not seen; at least the lag.
    pub patience: Duration,
}

/// What the provider calls the thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its id there.
    pub id: String,
    /// Where people see it.
    pub permalink: Option<String>,
}

/// Until when bytes of a call may leave: monotonic, taken before `sent` was committed, so that a process that slept in
/// between sends nothing late. The caller's client checks it at each write.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline this far from now.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    /// What is left; zero when it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Why a call brought no id.
#[derive(Debug)]
pub enum SendError {
    /// The provider refused, or nothing ever left: it did not happen. The decision says what the job does next.
    Refused(JobError),
    /// It may have happened.
    Unclear(Cause),
}

/// What became of an effect.
#[derive(Debug)]
pub enum Answer {
    /// It happened: now, or found by reading back.
    Happened(Receipt, Remote),
    /// It may have happened and cannot be told: a person has to look.
    Unknown(Receipt, Doubt),
}

/// A claim on an effect's row, to be recorded in one transaction with the job's own.
#[derive(Debug)]
pub struct Receipt {
    effect_id: EffectId,
    /// Whether it was found by reading back.
    pub was_read_back: bool,
    /// The look that ended in doubt.
    look: Option<Look>,
}

impl Receipt {
    fn new(effect_id: EffectId, was_read_back: bool) -> Self {
        Self { effect_id, was_read_back, look: None }
    }

    /// The receipt of a thing that turned out to be another effect's.
    #[must_use]
    pub fn doubted(self, remote: &Remote) -> Self {
        let look = Look { effect_id: self.effect_id, is_complete: true, candidates: vec![remote.clone()] };
        Self { look: Some(look), ..self }
    }
}

impl AttemptContext {
    /// Makes an effect happen at most once: `send` is called only if nothing was sent under this key before, otherwise
    /// `read_back` lists what the provider shows and may be it, oldest first. The caller records the answer.
    ///
    /// # Errors
    /// The decision of the sender's refusal; [`JobError::Reconcile`] while the outcome is not clear yet.
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
                // What happened is to be recorded before anything cuts the attempt; the rest is noted for its settlement.
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

    /// Keeps what tells an effect from equal ones: the ids of media that were uploaded for it, before anything is sent.
    ///
    /// # Errors
    /// [`JobError::Superseded`], or the database refused.
    pub async fn keep_media(&self, spec: &EffectSpec, media: &[String]) -> Result<(), JobError> {
        let mut tx = self.begin().await?;
        insert(&mut tx, spec).await?;
        rows::keep_media(&mut tx, spec, media).await?;
        tx.commit().await
    }

    /// Gives an effect up that nobody can tell about: nothing is sent under its key again. Answers the error that ends the job.
    #[must_use]
    pub fn give_up(&self, receipt: Receipt, cause: Cause) -> JobError {
        let fact = json!({ "given_up": cause.facts() });
        self.note_outcome(CallOutcome { effect_id: receipt.effect_id, what: What::GivenUp(fact, receipt.look) });
        JobError::Fail(cause)
    }

    /// Keeps what came of a call when the attempt is handed back; if that fails, the next attempt reads back.
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

    /// Finds the effect, and commits `sent` if nothing was sent before; otherwise nothing leaves, and the commit ends the
    /// shield. Answers the row as it was.
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
                // In case the answer cannot be recorded with what follows from it: it is kept when the attempt is settled.
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

/// Whether or not `sent` was committed (the answer may have been lost): this attempt sends nothing.
fn not_sent(effect_id: EffectId, error: &JobError) -> CallOutcome {
    let fact: Value = json!({ "not_sent": error.cause().map(Cause::facts) });
    CallOutcome { effect_id, what: What::NotHappened(fact) }
}

/// Noting that a call may leave took as long as the call itself may.
fn too_late() -> SendError {
    SendError::Refused(JobError::Retry(Cause::plain(
        CauseClass::Timeout,
        "The database was too slow: nothing was sent.",
    )))
}
