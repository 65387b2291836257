//! Effects: calls that the outside world sees. Each happens at most once, whatever dies in between.
//!
//! `intended` proves that nothing left. `sent` is committed immediately before the first byte; who finds it later only
//! reads back. From there: `confirmed`, back to `intended` after a definite refusal, `failed` when nothing will ever be
//! sent under the key again, or `unknown` when reading back did not find it within the provider's lag.

mod rows;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::json;

pub(super) use rows::record_outcome;
use rows::{Row, get, has_rival, insert, list_taken};

use super::{
    AttemptTx, Cause, Done, JobContext, JobError,
    point::{self, Point},
    settle::Verdict,
};
use crate::ids::{AccountId, EffectId};

/// A candidate found by reading back may be this much older than our `sent_at`: clocks differ.
const CLOCK_SKEW: Duration = Duration::from_mins(2);

/// What is to happen at most once.
#[derive(Debug, Clone)]
pub struct EffectSpec {
    /// Unique in the tenant, such as `delivery:<id>`.
    pub key: String,
    /// The provider's operation, such as `facebook.publish`.
    pub operation: &'static str,
    /// The account it happens on.
    pub account_id: AccountId,
    /// A digest of what reading back goes by: effects of one account with the same digest cannot be told apart there.
    pub request_digest: String,
    /// How long the call may take.
    pub timeout: Duration,
    /// How long after the call the provider may take to show what it did.
    pub lag: Duration,
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
/// between sends nothing late. Checked by [`crate::providers::http::body_until`] at each write.
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
    /// It may have happened and cannot be found: a person has to look.
    Unknown(Receipt),
}

/// A claim on an effect's row, to be recorded in one transaction with the job's own.
#[derive(Debug)]
pub struct Receipt {
    effect_id: EffectId,
    /// Whether it was found by reading back.
    pub was_read_back: bool,
}

/// What came of a call, to be recorded when an attempt that did not complete its job is settled.
#[derive(Debug)]
pub(super) struct CallOutcome {
    effect_id: EffectId,
    for_good: bool,
    fact: serde_json::Value,
    unclear: bool,
    /// What the provider called it, if it answered.
    known: Option<String>,
}

impl JobContext {
    /// Makes an effect happen at most once: `send` is called only if nothing was sent under this key before, otherwise
    /// `read_back` lists what the provider shows from the given time on, oldest first. The caller records the answer.
    ///
    /// # Errors
    /// The decision of the sender's refusal; [`JobError::Reconcile`] while the outcome is not clear yet.
    pub async fn once<S, R>(
        &self,
        spec: &EffectSpec,
        send: impl FnOnce(Deadline) -> S,
        read_back: impl FnOnce(DateTime<Utc>) -> R,
    ) -> Result<Answer, JobError>
    where
        S: Future<Output = Result<Remote, SendError>> + Send,
        R: Future<Output = Result<Vec<Remote>, JobError>> + Send,
    {
        self.shield();
        let deadline = Deadline::after(spec.timeout);
        let row = self.mark_sent(spec).await.inspect_err(|_| self.unshield())?;
        match (row.state.as_str(), row.sent_at, row.remote_id) {
            ("intended", ..) => {
                point::reach(Point::Sent);
                let outcome = if deadline.left().is_zero() { Err(too_late()) } else { send(deadline).await };
                point::reach(Point::Answered);
                // What happened is to be recorded before anything cuts the attempt; the rest is noted for its settlement.
                self.answer(row.id, outcome).inspect_err(|_| self.unshield())
            }
            ("confirmed" | "sent", _, Some(id)) => {
                let receipt = Receipt { effect_id: row.id, was_read_back: true };
                Ok(Answer::Happened(receipt, Remote { id, permalink: None }))
            }
            ("sent", Some(sent_at), _) if row.seconds_left <= 0.0 => {
                let seen = read_back(sent_at - CLOCK_SKEW).await;
                self.compare(spec, row.id, row.lag_is_over, seen).await
            }
            ("sent", ..) => {
                let wait = Duration::try_from_secs_f64(row.seconds_left).unwrap_or_default();
                Err(JobError::Reconcile(wait, Cause::plain("ambiguous", "An earlier call may still be on its way.")))
            }
            ("unknown", ..) => Ok(Answer::Unknown(Receipt { effect_id: row.id, was_read_back: true })),
            _ => Err(JobError::Fail(Cause::plain(
                "permanent",
                "This was refused for good before and is not sent again; make a new post.",
            ))),
        }
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
        let attempt = tx.attempt();
        insert(&mut tx, spec).await?;
        let row = get(&mut tx, spec).await?;
        if row.state == "intended" {
            sqlx::query!(
                "
                update effects
                set state = 'sent', job_id = $3, attempt = $4, request_digest = $5, sent_at = clock_timestamp(),
                  send_until = clock_timestamp() + make_interval(secs => $6), lag_seconds = $7
                where tenant_id = $1 and id = $2 and state = 'intended'
                ",
                attempt.tenant_id.0,
                row.id.0,
                attempt.job_id.0,
                attempt.number,
                spec.request_digest,
                spec.timeout.as_secs_f64(),
                spec.lag.as_secs_f64()
            )
            .execute(&mut **tx)
            .await?;
            point::reach(Point::BeforeSent);
            tx.commit_to_send().await.inspect_err(|error| self.note_outcome(not_sent(row.id, error)))?;
        } else {
            tx.commit().await?;
        }
        Ok(row)
    }

    fn answer(&self, effect_id: EffectId, outcome: Result<Remote, SendError>) -> Result<Answer, JobError> {
        match outcome {
            Ok(remote) => {
                // In case the answer cannot be recorded with what follows from it: it is kept when the attempt is settled.
                let fact = json!({ "answered": remote.id });
                let known = Some(remote.id.clone());
                self.note_outcome(CallOutcome { effect_id, for_good: false, fact, unclear: true, known });
                Ok(Answer::Happened(Receipt { effect_id, was_read_back: false }, remote))
            }
            Err(SendError::Refused(error)) => {
                let cause = error.cause().map(Cause::facts);
                let for_good = matches!(error, JobError::Fail(_));
                self.note_outcome(CallOutcome {
                    effect_id,
                    for_good,
                    fact: json!({ "refused": cause }),
                    unclear: false,
                    known: None,
                });
                Err(error)
            }
            Err(SendError::Unclear(cause)) => {
                let fact = json!({ "unclear": cause.facts() });
                self.note_outcome(CallOutcome { effect_id, for_good: false, fact, unclear: true, known: None });
                Err(JobError::Reconcile(Duration::from_secs(1), cause))
            }
        }
    }

    /// Takes the first thing seen that is not another effect's; without one it is read again until the lag is over.
    async fn compare(
        &self,
        spec: &EffectSpec,
        effect_id: EffectId,
        lag_is_over: bool,
        seen: Result<Vec<Remote>, JobError>,
    ) -> Result<Answer, JobError> {
        let again = Duration::from_secs(5);
        let seen = match seen {
            Ok(seen) => seen,
            Err(JobError::Retry(cause) | JobError::Later(_, cause)) => return Err(JobError::Reconcile(again, cause)),
            Err(error) => return Err(error),
        };
        let mut tx = self.begin().await?;
        let is_rivalled = has_rival(&mut tx, spec, effect_id).await?;
        let taken = list_taken(&mut tx, spec, effect_id, &seen).await?;
        drop(tx);
        if is_rivalled && !seen.is_empty() {
            return Err(JobError::Reconcile(again, Cause::plain("ambiguous", "Another call to the account is open.")));
        }
        let found = seen.into_iter().find(|remote| !taken.contains(&remote.id));
        let receipt = Receipt { effect_id, was_read_back: true };
        match found {
            Some(remote) => Ok(Answer::Happened(receipt, remote)),
            None if lag_is_over => Ok(Answer::Unknown(receipt)),
            None => Err(JobError::Reconcile(again, Cause::plain("ambiguous", "Not to be seen at the provider yet."))),
        }
    }
}

/// Whether or not `sent` was committed (the answer may have been lost): this attempt sends nothing.
fn not_sent(effect_id: EffectId, error: &JobError) -> CallOutcome {
    let cause = error.cause().map(Cause::facts);
    CallOutcome { effect_id, for_good: false, fact: json!({ "not_sent": cause }), unclear: false, known: None }
}

/// Noting that a call may leave took as long as the call itself may.
fn too_late() -> SendError {
    SendError::Refused(JobError::Retry(Cause::plain("timeout", "The database was too slow: nothing was sent.")))
}

impl AttemptTx {
    /// Records that the effect happened, in the transaction that records what follows from it.
    ///
    /// # Errors
    /// The database refused; a remote id confirms one effect of an account only.
    pub async fn confirm(&mut self, receipt: &Receipt, remote: &Remote) -> Result<(), JobError> {
        sqlx::query!(
            "
            update effects
            set state = 'confirmed', remote_id = $3, facts = facts || $4
            where tenant_id = $1 and id = $2 and state in ('sent', 'confirmed')
            ",
            self.attempt().tenant_id.0,
            receipt.effect_id.0,
            remote.id,
            json!([{ "happened": remote.id, "read_back": receipt.was_read_back }])
        )
        .execute(&mut ***self)
        .await?;
        Ok(())
    }

    /// Records that nobody can tell whether the effect happened, and suspends the job until a person does.
    ///
    /// # Errors
    /// [`JobError::Superseded`], or the database refused.
    pub async fn leave_unknown(mut self, receipt: &Receipt, cause: &Cause) -> Result<Done, JobError> {
        sqlx::query!(
            "
            update effects
            set state = 'unknown', facts = facts || $3
            where tenant_id = $1 and id = $2 and state = 'sent'
            ",
            self.attempt().tenant_id.0,
            receipt.effect_id.0,
            json!([{ "unknown": cause.facts() }])
        )
        .execute(&mut **self)
        .await?;
        self.suspend(&Verdict::unknown_effect(), &cause.facts()).await
    }
}
