//! Looking for the result of a call: candidates that the provider shows are compared with all
//! evidence. Nothing is guessed.

use std::time::Duration;

use super::{
    Answer, CallOutcome, EffectSpec, Look, Receipt, Remote, What,
    rows::{Row, has_equals, has_rival, list_taken, stands_alone},
};
use crate::{AttemptContext, Cause, CauseClass, JobError};

/// The wait after the first look. Each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait between two looks.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// A thing that a provider shows and that may be the result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The thing as the provider knows it.
    pub remote: Remote,
    /// The likeness to the call's result.
    pub likeness: Likeness,
}

/// The likeness of a candidate to the result of a call, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// It has media that were uploaded for this call and for no other.
    Certain,
    /// It equals the call in everything that the provider shows.
    Alike,
    /// The provider does not show all that could tell them apart. Another call that looks the same
    /// may have made it.
    Unproven,
    /// The provider does not show enough to decide: a person has to look.
    Doubtful,
}

/// The reasons why the outcome of a call stays unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The provider does not show a result.
    NotSeen,
    /// The provider could not be read for a day.
    NotRead,
    /// Several things may be the result, or one that may also belong to another call.
    Several,
}

/// The conclusion of a look.
enum Found {
    It(Remote),
    Nothing,
    /// These may be the result.
    Perhaps(Vec<Remote>),
}

impl AttemptContext {
    /// Compares the candidates with all other calls. If the outcome is not clear, the job looks
    /// again until its patience is over.
    pub(super) async fn compare(
        &self,
        spec: &EffectSpec,
        row: &Row,
        seen: Result<Vec<Candidate>, JobError>,
    ) -> Result<Answer, JobError> {
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => return self.could_not_look(row, error),
        };
        let (doubt, candidates) = match self.choose(spec, row, seen).await? {
            Found::It(remote) => return Ok(Answer::Happened(Receipt::new(row.id, true), remote)),
            Found::Nothing => (Doubt::NotSeen, Vec::new()),
            Found::Perhaps(remotes) => (Doubt::Several, remotes),
        };
        let look = Look { effect_id: row.id, is_complete: true, candidates };
        if row.patience_left <= 0.0 {
            return Ok(Answer::Unknown(Receipt { look: Some(look), ..Receipt::new(row.id, true) }, doubt));
        }
        self.note_outcome(CallOutcome { effect_id: row.id, what: What::Looked(look) });
        let words = match doubt {
            Doubt::NotSeen => "The network does not show it yet.",
            Doubt::NotRead | Doubt::Several => "The network shows what may be it, and may be another one too.",
        };
        let until_over = Duration::try_from_secs_f64(row.patience_left).unwrap_or(LONGEST_WAIT);
        let wait = wait_after(row.looks).min(until_over.max(Duration::from_secs(1)));
        Err(JobError::Reconcile(wait, Cause::plain(CauseClass::Ambiguous, words)))
    }

    /// Handles an error of a read, which says nothing about the call: the job looks again, for a
    /// day.
    fn could_not_look(&self, row: &Row, error: JobError) -> Result<Answer, JobError> {
        let look = Look { effect_id: row.id, is_complete: false, candidates: Vec::new() };
        if row.is_failing_for_long && !matches!(error, JobError::Superseded) {
            return Ok(Answer::Unknown(Receipt { look: Some(look), ..Receipt::new(row.id, true) }, Doubt::NotRead));
        }
        self.note_outcome(CallOutcome { effect_id: row.id, what: What::Looked(look) });
        let wait = wait_after(row.looks);
        Err(match error {
            JobError::Retry(cause) | JobError::Fail(cause) => JobError::Reconcile(wait, cause),
            JobError::Later(told, cause) | JobError::Reconcile(told, cause) => {
                JobError::Reconcile(wait.max(told), cause)
            }
            JobError::Park(..) | JobError::Superseded => error,
        })
    }

    /// Chooses the result of the call among the candidates.
    ///
    /// - A candidate with our media is the result. A doubtful one is left to a person.
    /// - An unproven one is the result if it is the only free candidate and no other call may have
    ///   made it.
    /// - Candidates that are alike are distributed: each equal call takes one. That requires that
    ///   no equal call can still claim one of them first, and that there are no more candidates
    ///   than equal calls.
    async fn choose(&self, spec: &EffectSpec, row: &Row, seen: Vec<Candidate>) -> Result<Found, JobError> {
        if seen.is_empty() {
            return Ok(Found::Nothing);
        }
        let mut tx = self.begin().await?;
        let taken = list_taken(&mut tx, spec, row.id, &seen).await?;
        let is_free = |candidate: &&Candidate| !taken.contains(&candidate.remote.id);
        if let Some(certain) = seen.iter().find(|candidate| candidate.likeness == Likeness::Certain) {
            let remote = certain.remote.clone();
            return Ok(if is_free(&certain) { Found::It(remote) } else { Found::Perhaps(vec![remote]) });
        }
        let mut free: Vec<Remote> = seen.iter().filter(is_free).map(|candidate| candidate.remote.clone()).collect();
        if free.is_empty() {
            return Ok(Found::Nothing);
        }
        let others = i32::try_from(free.len() - 1).unwrap_or(i32::MAX);
        let is_clear = match seen.iter().map(|candidate| candidate.likeness).max() {
            Some(Likeness::Alike) => {
                !has_rival(&mut tx, spec, row.id).await? && has_equals(&mut tx, spec, row.id, others).await?
            }
            Some(Likeness::Unproven) => others == 0 && stands_alone(&mut tx, spec, row).await?,
            Some(Likeness::Certain | Likeness::Doubtful) | None => false,
        };
        Ok(if is_clear { Found::It(free.swap_remove(0)) } else { Found::Perhaps(free) })
    }
}

/// Returns the wait after a look that followed `looks` others.
fn wait_after(looks: i32) -> Duration {
    let doublings = u32::try_from(looks).unwrap_or(0).min(16);
    (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer() {
        let waits: Vec<u64> = (0..9).map(|looks| wait_after(looks).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(wait_after(i32::MAX), LONGEST_WAIT);
    }
}
