//! The counts above the board: jobs by state, and what waits for a person.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use jobs::engine::{
    JobState,
    stats::{Board, Count, Finished},
};

use super::filter::Filter;
use crate::{
    api::trouble_words,
    console::{
        visitor::Visitor,
        words::{self, Look},
    },
};

/// The time after which waiting work is late.
const LATE: Duration = Duration::from_mins(1);

/// A state with its count, as a link to its jobs.
pub(crate) struct StateCount {
    pub(crate) label: &'static str,
    pub(crate) look: Option<Look>,
    pub(crate) count: String,
    pub(crate) address: String,
    pub(crate) is_here: bool,
}

/// A thing that waits for a person, as a link to its list.
pub(crate) struct Red {
    pub(crate) count: String,
    pub(crate) words: String,
    pub(crate) address: String,
}

/// Jobs by state.
pub(super) type Counts = BTreeMap<JobState, Count>;

/// Returns the states of the board, all first.
pub(super) fn states(counts: &Counts, visitor: &Visitor, filter: &Filter) -> Vec<StateCount> {
    let address = |name: &str| visitor.to(&filter.address_with("/jobs", "state", name));
    let all = StateCount {
        label: "All",
        look: None,
        count: String::new(),
        address: address(""),
        is_here: filter.jobs.state.is_none(),
    };
    let of = |state: JobState| {
        let look = words::state(state);
        let count = counts.get(&state).copied().unwrap_or(Count { count: 0, is_exact: true });
        StateCount {
            label: look.word,
            look: Some(look),
            count: shown(count),
            address: address(state.name()),
            is_here: filter.jobs.state == Some(state),
        }
    };
    std::iter::once(all).chain(JobState::ALL.into_iter().map(of)).collect()
}

/// Returns the counts of all tenants' jobs.
pub(super) fn of_all(board: &Board, finished: Finished) -> Counts {
    let mut counts = Counts::new();
    for ((_, state), count) in &board.depths {
        let sum = counts.entry(*state).or_insert(Count { count: 0, is_exact: true });
        sum.count += count.count;
        sum.is_exact &= count.is_exact;
    }
    for (state, count) in [
        (JobState::Completed, finished.completed),
        (JobState::Cancelled, finished.cancelled),
        (JobState::Discarded, finished.discarded),
    ] {
        counts.insert(state, Count { count, is_exact: finished.is_exact });
    }
    counts
}

fn shown(count: Count) -> String {
    if count.is_exact { words::number(count.count) } else { format!("{}+", words::number(count.count)) }
}

/// Returns what waits for a person, for operators. Nothing means that all is quiet.
pub(super) fn reds(board: &Board) -> Vec<Red> {
    let mut reds = Vec::new();
    let mut add = |count: Count, one: &str, many: &str, address: &str| {
        if count.count > 0 {
            let words = if count.count == 1 { one } else { many }.to_owned();
            reds.push(Red { count: shown(count), words, address: address.to_owned() });
        }
    };
    let alerts = &board.alerts;
    add(alerts.unknown_effects, "call of unknown outcome", "calls of unknown outcome", "/jobs?state=suspended");
    add(alerts.for_person, "job waits for a person", "jobs wait for a person", "/jobs?state=suspended");
    add(alerts.discarded_lately, "job failed within a day", "jobs failed within a day", "/jobs?state=discarded");
    add(alerts.dead_workers, "worker died within an hour", "workers died within an hour", "/jobs/workers");
    add(alerts.parked_accounts, "account is parked", "accounts are parked", "/jobs/parked");
    for (queue, waited) in board.oldest_due.iter().filter(|(_, waited)| **waited > LATE) {
        let waited = TimeDelta::from_std(*waited).unwrap_or(TimeDelta::MAX);
        let words = format!("is late by {}", words::duration(waited));
        reds.push(Red { count: words::of_name(queue), words, address: "/jobs/queues".to_owned() });
    }
    for (queue, trouble) in &board.late_queues {
        let words = trouble_words(queue, *trouble);
        reds.push(Red { count: "Stuck".to_owned(), words, address: "/jobs/queues".to_owned() });
    }
    reds
}
