//! The decision on a job that killed the process in which it ran alone.

use std::time::Duration;

use super::{Situation, Verdict};
use crate::{AttemptOutcome, CauseClass, Facts, JobState, NotCompleted};

/// The number of processes that a job may kill while it runs alone. Then it is discarded.
const LETHAL: i16 = 3;

/// The longest wait after a death.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Decides on death number `deaths` (from 1); `how` describes it. It counts no failure. An open
/// effect comes first: while it is open, the job does not end and only reads back.
pub(in crate::settle) fn decide_death(
    how: &str,
    deaths: i16,
    situation: Situation,
    jitter: f64,
) -> (Verdict, NotCompleted) {
    let wait = Duration::from_secs_f64(f64::from(deaths.max(1)).powi(3) + jitter.clamp(0.0, 1.0)).min(LONGEST_WAIT);
    if situation.unknown_effect {
        return (Verdict::unknown_effect(), NotCompleted::Parked(facts(how, "A person has to look at its call.")));
    }
    if let Some(sending) = situation.open_effect {
        let verdict = Verdict::suspended("reconcile", AttemptOutcome::Reconcile, Some(sending.max(wait)));
        return (verdict, NotCompleted::Reconciling(facts(how, "It looks what became of its call.")));
    }
    if situation.cancel_requested {
        return (Verdict::ended(JobState::Cancelled), NotCompleted::Cancelled);
    }
    if deaths >= LETHAL {
        let words = "That has happened too often: it is not tried again. Report it to the developers.";
        let verdict = Verdict { is_failure: false, ..Verdict::ended(JobState::Discarded) };
        return (verdict, NotCompleted::Discarded(facts(how, words)));
    }
    (
        Verdict::again(JobState::Retryable, AttemptOutcome::Lost, wait, false),
        NotCompleted::Again(facts(how, "It is tried again.")),
    )
}

/// Returns the facts to store about a death; `next` says what happens next.
pub(in crate::settle) fn facts(how: &str, next: &str) -> Facts {
    Facts {
        class: CauseClass::Poison,
        message: format!("It took down the process in which it ran alone. {next}"),
        causes: vec![how.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNAL: &str = "signal: 6 (SIGABRT)";

    #[test]
    fn the_third_death_discards_and_none_counts_a_failure() {
        let table = [
            (1, JobState::Retryable, 1),
            (2, JobState::Retryable, 8),
            (3, JobState::Discarded, 0),
            (4, JobState::Discarded, 0),
        ];
        for (deaths, state, wait) in table {
            let (verdict, not_completed) = decide_death(SIGNAL, deaths, Situation::default(), 0.0);
            assert_eq!((verdict.state, verdict.after.unwrap_or_default().as_secs()), (state, wait), "death {deaths}");
            assert!(!verdict.is_failure);
            let (NotCompleted::Again(facts) | NotCompleted::Discarded(facts)) = not_completed else {
                panic!("{not_completed:?}");
            };
            assert_eq!((facts.class, facts.causes), (CauseClass::Poison, vec![SIGNAL.to_owned()]));
        }
    }

    #[test]
    fn waits_grow_to_a_bound() {
        let (verdict, _) = decide_death(SIGNAL, 2, Situation::default(), 1.0);
        assert_eq!(verdict.after, Some(Duration::from_secs(9)));
        let open = Situation { open_effect: Some(Duration::ZERO), ..Situation::default() };
        let (verdict, _) = decide_death(SIGNAL, i16::MAX, open, 1.0);
        assert_eq!(verdict.after, Some(LONGEST_WAIT));
    }

    #[test]
    fn an_open_effect_is_read_back_before_anything_ends() {
        let left = Duration::from_secs(90);
        for cancel_requested in [false, true] {
            let open = Situation { open_effect: Some(left), cancel_requested, ..Situation::default() };
            let (verdict, not_completed) = decide_death(SIGNAL, 3, open, 0.0);
            assert_eq!((verdict.suspended_on.as_deref(), verdict.after), (Some("reconcile"), Some(left)));
            assert!(matches!(not_completed, NotCompleted::Reconciling(_)));
            let unknown = Situation { unknown_effect: true, cancel_requested, ..Situation::default() };
            let (verdict, not_completed) = decide_death(SIGNAL, 3, unknown, 0.0);
            assert_eq!((verdict.suspended_on.as_deref(), verdict.after), (Some("unknown_effect"), None));
            assert!(matches!(not_completed, NotCompleted::Parked(_)));
        }
    }

    #[test]
    fn a_request_to_cancel_ends_it() {
        let asked = Situation { cancel_requested: true, ..Situation::default() };
        let (verdict, not_completed) = decide_death(SIGNAL, 1, asked, 0.0);
        assert_eq!((verdict.state, not_completed), (JobState::Cancelled, NotCompleted::Cancelled));
    }
}
