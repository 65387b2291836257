//! The actions of people on jobs, in words.

use jobs::{
    engine::{JobState, ledger::Action},
    operations::Tally,
};

use crate::{ApiError, console::words, error::ErrorCode};

/// The actions on jobs from a list.
pub(super) const ACTIONS: [Action; 4] = [Action::Retry, Action::RunNow, Action::Cancel, Action::Discard];

/// An action as a button.
pub(crate) struct Button {
    pub(crate) value: &'static str,
    pub(crate) label: &'static str,
    /// The key that presses it, if there is one.
    pub(crate) key: &'static str,
    pub(crate) is_bad: bool,
}

impl Button {
    pub(super) fn of(action: Action) -> Self {
        let key = match action {
            Action::Retry => "r",
            Action::Cancel => "c",
            Action::Discard | Action::RunNow | Action::ResolveSendAgain | Action::ResolveGiveUp => "",
        };
        Self { value: action.name(), label: label(action), key, is_bad: action == Action::Discard }
    }
}

/// Returns the word of a button.
pub(super) fn label(action: Action) -> &'static str {
    match action {
        Action::Retry => "Retry",
        Action::Cancel => "Cancel",
        Action::Discard => "Give up",
        Action::RunNow => "Run now",
        Action::ResolveSendAgain => "Send again",
        Action::ResolveGiveUp => "Never send",
    }
}

/// Returns what an action does, for its confirmation.
pub(super) fn meaning(action: Action) -> &'static str {
    match action {
        Action::Retry => "They run again, now.",
        Action::Cancel => "Those that wait end; those that run are asked to stop. Retry brings them back.",
        Action::Discard => "They end as failed, with all that follows from it. Retry brings them back.",
        Action::RunNow => "They run now instead of at their time.",
        Action::ResolveSendAgain | Action::ResolveGiveUp => "Their open calls count as not made.",
    }
}

/// Returns the actions that fit a state.
pub(super) fn fitting(state: JobState) -> &'static [Action] {
    match state {
        JobState::Scheduled => &[Action::RunNow, Action::Cancel, Action::Discard],
        JobState::Retryable | JobState::Suspended => &[Action::Retry, Action::Cancel, Action::Discard],
        JobState::Available => &[Action::Cancel, Action::Discard],
        JobState::Executing => &[Action::Cancel],
        JobState::Cancelled | JobState::Discarded => &[Action::Retry],
        JobState::Completed => &[],
    }
}

/// Reads an action that a form names.
pub(super) fn named(name: &str) -> Result<Action, ApiError> {
    ACTIONS.into_iter().find(|action| action.name() == name).ok_or_else(|| {
        ApiError::bad_request(
            ErrorCode::Malformed,
            "The form names no action. Open the page again, and press a button.",
        )
    })
}

/// Returns what became of jobs in words: "2 run again. 1 was left as it is: ...".
pub(super) fn told(tally: &Tally) -> String {
    let mut sentences: Vec<String> =
        tally.done.iter().map(|(outcome, count)| done(outcome, count_of(*count))).collect();
    let descendants = tally.descendants.values().sum();
    if descendants > 0 {
        let jobs = words::count(count_of(descendants), "job that they started was", "jobs that they started were");
        sentences.push(format!("{jobs} cancelled too."));
    }
    for (code, count) in &tally.skipped {
        let jobs = words::count(count_of(*count), "job stays as it is", "jobs stay as they are");
        sentences.push(format!("{jobs}: {}.", reason(code)));
    }
    if sentences.is_empty() { "No job matched.".to_owned() } else { sentences.join(" ") }
}

fn count_of(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn done(outcome: &str, count: i64) -> String {
    let (one, many) = match outcome {
        "available" => ("job runs now.", "jobs run now."),
        "scheduled" => ("job waits for its time again.", "jobs wait for their time again."),
        "cancelled" => ("job was cancelled.", "jobs were cancelled."),
        "cancel_requested" => ("job was asked to stop.", "jobs were asked to stop."),
        "discarded" => ("job was given up.", "jobs were given up."),
        _ => ("job was changed.", "jobs were changed."),
    };
    words::count(count, one, many)
}

/// Returns the reason for which a job was left as it is.
pub(super) fn reason(code: &str) -> &'static str {
    match code {
        "wrong_state" => "the action does not fit its state",
        "outcome_unknown" => "nobody knows whether its call arrived, so it is settled on its own page",
        "too_late" => "its call has left already",
        "live_twin" => "another job does the same already",
        "children_unfinished" => "the jobs that it started have not ended",
        "too_many_children" => "it started too many jobs to end them at once",
        "state_changing" => "it was changing at that moment, so try again",
        "not_looked_for" => "its call was not looked for often enough",
        "not_found" => "it is gone, or not yours",
        _ => "it cannot be done to it",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_was_done_is_told_in_whole_sentences() {
        let counts = |word: &str, count| BTreeMap::from([(word.to_owned(), count)]);
        let tally = Tally {
            matched: 4,
            done: counts("available", 2),
            descendants: counts("cancelled", 1),
            skipped: counts("wrong_state", 1),
        };
        assert_eq!(
            told(&tally),
            "2 jobs run now. 1 job that they started was cancelled too. 1 job stays as it is: the action does not fit its state."
        );
        assert_eq!(told(&Tally::default()), "No job matched.");
    }

    #[test]
    fn an_action_is_read_by_its_name_only() {
        for action in ACTIONS {
            assert_eq!(named(action.name()).unwrap(), action);
        }
        assert!(named("resolve_send_again").is_err() && named("").is_err());
    }
}
