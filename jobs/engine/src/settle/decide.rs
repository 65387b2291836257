//! The decision on an attempt that did not complete its job.

mod death;

use std::time::Duration;

pub(super) use death::{decide_death, facts as death_facts};

use crate::{AttemptOutcome, JobError, JobState, NotCompleted, Parked, Retry, ids::AccountId};

/// The longest time that a job may be snoozed after it was first due. Then it is discarded.
const MAX_SNOOZE: Duration = Duration::from_hours(72);

/// The wait of a job that could not read back, if its error names none.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// The wait of a job whose completion the database refused.
const SETTLE_AGAIN: Duration = Duration::from_mins(1);

/// The wait after which jobs of a parked account look by themselves. Normally the end of the park
/// wakes them, but it may have come while the account was being parked.
const LOOK_AGAIN: Duration = Duration::from_mins(15);

/// The decision on an attempt that did not complete its job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    /// The job's next state.
    pub(crate) state: JobState,
    /// The outcome in `job_attempts`.
    pub(crate) outcome: AttemptOutcome,
    /// The wait until it is due again. `None`: it does not become due by itself.
    pub(crate) after: Option<Duration>,
    /// The name of what it waits for, if it is suspended.
    pub(crate) suspended_on: Option<String>,
    /// True if it counts as a failure for the retry policy.
    pub(crate) is_failure: bool,
    /// The account that is parked for that time, with all its jobs.
    pub(crate) parks: Option<AccountId>,
}

/// The state of a job in the ledger when its attempt is settled.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Situation {
    /// The number of failures before this attempt.
    pub(crate) failures: u32,
    /// The time since it became due.
    pub(crate) due_for: Duration,
    /// True if somebody asked to cancel it.
    pub(crate) cancel_requested: bool,
    /// The time until nothing of an open call can leave any more, if an effect may have happened.
    pub(crate) open_effect: Option<Duration>,
    /// True if one of its effects waits for a person.
    pub(crate) unknown_effect: bool,
}

impl Verdict {
    fn again(state: JobState, outcome: AttemptOutcome, after: Duration, is_failure: bool) -> Self {
        Self { state, outcome, after: Some(after), suspended_on: None, is_failure, parks: None }
    }

    fn suspended(on: &str, outcome: AttemptOutcome, after: Option<Duration>) -> Self {
        Self {
            state: JobState::Suspended,
            outcome,
            after,
            suspended_on: Some(on.to_owned()),
            is_failure: false,
            parks: None,
        }
    }

    fn ended(state: JobState) -> Self {
        Self {
            state,
            outcome: AttemptOutcome::Fail,
            after: None,
            suspended_on: None,
            is_failure: state == JobState::Discarded,
            parks: None,
        }
    }

    fn parked(what: Parked, after: Option<Duration>) -> Self {
        let parks = what.account();
        let after = after.or_else(|| parks.map(|_| LOOK_AGAIN));
        Self { parks, ..Self::suspended(&what.name(), AttemptOutcome::Park, after) }
    }

    /// The verdict on a completion that the database refused.
    pub(super) fn refused() -> Self {
        Self::again(JobState::Retryable, AttemptOutcome::Retry, SETTLE_AGAIN, true)
    }

    pub(crate) fn unknown_effect() -> Self {
        Self::suspended("unknown_effect", AttemptOutcome::Park, None)
    }
}

/// Decides on an attempt, or returns `None` if it was superseded. An open effect comes first: while
/// it is open, the job does not end and only reads back.
pub(super) fn decide(
    error: &JobError,
    retry: &Retry,
    situation: Situation,
    jitter: f64,
) -> Option<(Verdict, NotCompleted)> {
    let facts = error.cause()?.facts();
    if situation.unknown_effect {
        return Some((Verdict::unknown_effect(), NotCompleted::Parked(facts)));
    }
    if let Some(sending) = situation.open_effect {
        let after = match error {
            // A job that has to read back waits as well, for the provider's limit or for a new
            // login.
            JobError::Park(what, after, _) => {
                let verdict = Verdict { outcome: AttemptOutcome::Reconcile, ..Verdict::parked(*what, *after) };
                return Some((verdict, NotCompleted::Reconciling(facts)));
            }
            JobError::Reconcile(after, _) | JobError::Later(after, _) => *after,
            JobError::Retry(_) | JobError::Fail(_) | JobError::Superseded => READ_AGAIN,
        };
        let verdict = Verdict::suspended("reconcile", AttemptOutcome::Reconcile, Some(sending.max(after)));
        return Some((verdict, NotCompleted::Reconciling(facts)));
    }
    if situation.cancel_requested {
        return Some((Verdict::ended(JobState::Cancelled), NotCompleted::Cancelled));
    }
    Some(match error {
        JobError::Superseded => return None,
        JobError::Retry(_) => match retry.wait(situation.failures + 1, jitter) {
            Some(wait) => {
                (Verdict::again(JobState::Retryable, AttemptOutcome::Retry, wait, true), NotCompleted::Again(facts))
            }
            None => (Verdict::ended(JobState::Discarded), NotCompleted::Discarded(facts)),
        },
        JobError::Later(after, _) | JobError::Reconcile(after, _) if situation.due_for + *after <= MAX_SNOOZE => {
            (Verdict::again(JobState::Scheduled, AttemptOutcome::Later, *after, false), NotCompleted::Again(facts))
        }
        JobError::Later(..) | JobError::Reconcile(..) | JobError::Fail(_) => {
            (Verdict::ended(JobState::Discarded), NotCompleted::Discarded(facts))
        }
        JobError::Park(_, Some(after), _) if situation.due_for + *after > MAX_SNOOZE => {
            (Verdict::ended(JobState::Discarded), NotCompleted::Discarded(facts))
        }
        JobError::Park(what, after, _) => (Verdict::parked(*what, *after), NotCompleted::Parked(facts)),
    })
}

/// Decides on a start that a rate did not allow; `later` is the error that the job gets. The job is
/// never discarded for this, however long it has been due: it keeps its place in its lane, which
/// rests.
pub(super) fn decide_rate_limited(
    later: &JobError,
    retry: &Retry,
    situation: Situation,
) -> Option<(Verdict, NotCompleted)> {
    let (verdict, not_completed) = decide(later, retry, Situation { due_for: Duration::ZERO, ..situation }, 0.0)?;
    let waits = verdict.state == JobState::Scheduled;
    Some((if waits { Verdict { state: JobState::Available, after: None, ..verdict } } else { verdict }, not_completed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, CauseClass};

    fn cause() -> Cause {
        Cause::plain(CauseClass::Transient, "no answer")
    }

    fn state(error: &JobError, situation: Situation) -> (JobState, Option<String>) {
        let (verdict, _) = decide(error, &Retry::QUICK, situation, 0.0).expect("not superseded");
        (verdict.state, verdict.suspended_on)
    }

    #[test]
    fn failures_are_retried_until_the_list_ends() {
        assert_eq!(
            state(&JobError::Retry(cause()), Situation { failures: 3, ..Situation::default() }).0,
            JobState::Retryable
        );
        assert_eq!(
            state(&JobError::Retry(cause()), Situation { failures: 4, ..Situation::default() }).0,
            JobState::Discarded
        );
    }

    #[test]
    fn snoozing_costs_nothing_but_ends() {
        let later = || JobError::Later(Duration::from_mins(1), cause());
        let (verdict, _) = decide(&later(), &Retry::QUICK, Situation::default(), 0.0).expect("decided");
        assert_eq!((verdict.state, verdict.is_failure), (JobState::Scheduled, false));
        let late = Situation { due_for: MAX_SNOOZE, ..Situation::default() };
        assert_eq!(state(&later(), late).0, JobState::Discarded);
    }

    #[test]
    fn a_rate_never_gives_a_job_up() {
        let later = JobError::Later(Duration::from_mins(1), cause());
        let late = Situation { due_for: 2 * MAX_SNOOZE, ..Situation::default() };
        let (verdict, not_completed) = decide_rate_limited(&later, &Retry::NEVER, late).expect("decided");
        assert_eq!((verdict.state, verdict.after, verdict.is_failure), (JobState::Available, None, false));
        assert!(matches!(not_completed, NotCompleted::Again(_)), "{not_completed:?}");
        let asked = Situation { cancel_requested: true, ..late };
        assert_eq!(decide_rate_limited(&later, &Retry::NEVER, asked).expect("decided").0.state, JobState::Cancelled);
        let open = Situation { open_effect: Some(Duration::from_secs(90)), ..late };
        let (verdict, _) = decide_rate_limited(&later, &Retry::NEVER, open).expect("decided");
        assert_eq!((verdict.state, verdict.after), (JobState::Suspended, Some(Duration::from_secs(90))));
    }

    #[test]
    fn a_request_to_cancel_ends_what_would_run_again() {
        let asked = Situation { cancel_requested: true, ..Situation::default() };
        assert_eq!(state(&JobError::Retry(cause()), asked).0, JobState::Cancelled);
    }

    #[test]
    fn nothing_ends_while_an_effect_is_open() {
        let open =
            Situation { cancel_requested: true, open_effect: Some(Duration::from_secs(90)), ..Situation::default() };
        for error in [JobError::Retry(cause()), JobError::Fail(cause())] {
            let (verdict, _) = decide(&error, &Retry::NEVER, open, 0.0).expect("decided");
            assert_eq!(verdict.suspended_on.as_deref(), Some("reconcile"));
            assert_eq!(verdict.after, Some(Duration::from_secs(90)));
        }
        let unknown = Situation { unknown_effect: true, ..Situation::default() };
        assert_eq!(state(&JobError::Fail(cause()), unknown).1.as_deref(), Some("unknown_effect"));
    }

    #[test]
    fn an_overtaken_attempt_decides_nothing() {
        assert!(decide(&JobError::Superseded, &Retry::QUICK, Situation::default(), 0.0).is_none());
    }
}
