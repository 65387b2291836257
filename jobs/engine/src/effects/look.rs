//! Looking for what became of a call: what the provider shows is compared with all evidence, and never guessed from.

use std::time::Duration;

use super::{
    Answer, CallOutcome, EffectSpec, Look, Receipt, Remote, What,
    rows::{Row, has_equals, has_rival, list_taken, stands_alone},
};
use crate::{AttemptContext, Cause, CauseClass, JobError};

/// The wait after the first look; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Between two looks there is no more than this.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Something that a provider shows and that may be what a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What it is called there.
    pub remote: Remote,
    /// How much it looks like it.
    pub likeness: Likeness,
}

/// How much a thing looks like what a call did; the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// It has what was uploaded for this call and for no other.
    Certain,
    /// Nothing that the provider shows tells them apart.
    Alike,
    /// The provider does not show all that could tell them apart: another call that looks the same here may have done it.
    Unproven,
    /// The provider does not show enough to say so: it is for a person to see.
    Doubtful,
}

/// Why nobody can tell what became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The provider does not show it.
    NotSeen,
    /// The provider could not be read for a day.
    NotRead,
    /// Several things may be it, or one that may also be another's.
    Several,
}

/// What a look came to.
enum Found {
    It(Remote),
    Nothing,
    /// These may be it.
    Perhaps(Vec<Remote>),
}

impl AttemptContext {
    /// Compares what was seen with what is known of all other calls. What is not clear is looked for again until the time for
    /// that is over.
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

    /// An error of a read says nothing about the call: it is looked for again, for a day.
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

    /// What has our media is ours, and what is doubtful is for a person. What is not proven is ours if it is the only such thing
    /// and no other call may have done it. Else a thing is ours if it is nobody else's, if no equal call can still turn out to
    /// be it, and if there are no more such things than equal calls: of what nothing tells apart, each call takes one.
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

/// The wait after a look before which there were so many others.
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
