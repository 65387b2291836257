//! The counts above the board: jobs by state, and what waits for a person.

use std::{collections::BTreeMap, time::Duration};

use jobs::engine::{
    JobState, Tx,
    stats::{self, Count},
};

use super::filter::{Filter, STATES};
use crate::{
    ApiError,
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

type Counts = BTreeMap<JobState, Count>;

/// Returns the states of the board, all first.
pub(super) async fn states(tx: &mut Tx, visitor: &Visitor, filter: &Filter) -> Result<Vec<StateCount>, ApiError> {
    let counts: Counts = match filter.jobs.tenant_id {
        Some(tenant_id) => stats::tenant_counts(tx, tenant_id).await?.into_iter().collect(),
        None => of_all(tx).await?,
    };
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
    Ok(std::iter::once(all).chain(STATES.into_iter().map(of)).collect())
}

async fn of_all(tx: &mut Tx) -> Result<Counts, ApiError> {
    let mut counts = Counts::new();
    for ((_, state), count) in stats::depths(tx).await? {
        let sum = counts.entry(state).or_insert(Count { count: 0, is_exact: true });
        sum.count += count.count;
        sum.is_exact &= count.is_exact;
    }
    let finished = stats::finished_lately(tx).await?;
    for (state, count) in [
        (JobState::Completed, finished.completed),
        (JobState::Cancelled, finished.cancelled),
        (JobState::Discarded, finished.discarded),
    ] {
        counts.insert(state, Count { count, is_exact: finished.is_exact });
    }
    Ok(counts)
}

fn shown(count: Count) -> String {
    if count.is_exact { words::number(count.count) } else { format!("{}+", words::number(count.count)) }
}

/// Returns what waits for a person, for operators. Nothing means that all is quiet.
pub(super) async fn reds(tx: &mut Tx) -> Result<Vec<Red>, ApiError> {
    let attention = stats::attention(tx).await?;
    let dead = stats::list_workers(tx).await?.iter().filter(|worker| !worker.is_alive).count();
    let dead = Count { count: i64::try_from(dead).unwrap_or(i64::MAX), is_exact: true };
    let mut reds = Vec::new();
    let mut add = |count: Count, one: &str, many: &str, address: &str| {
        if count.count > 0 {
            let words = if count.count == 1 { one } else { many }.to_owned();
            reds.push(Red { count: shown(count), words, address: address.to_owned() });
        }
    };
    add(attention.unknown, "call of unknown outcome", "calls of unknown outcome", "/jobs?state=suspended");
    add(attention.discarded, "job failed within a day", "jobs failed within a day", "/jobs?state=discarded");
    add(dead, "worker died within an hour", "workers died within an hour", "/jobs/workers");
    add(attention.parked, "account is parked", "accounts are parked", "/jobs/parked");
    let late = stats::oldest_due(tx).await?;
    for (queue, waited) in late.into_iter().filter(|(_, waited)| *waited > LATE) {
        let waited = chrono::TimeDelta::from_std(waited).unwrap_or(chrono::TimeDelta::MAX);
        let words = format!("is late by {}", words::duration(waited));
        reds.push(Red { count: words::of_name(&queue), words, address: "/jobs/queues".to_owned() });
    }
    for (queue, trouble) in stats::find_troubles(tx).await? {
        let words = trouble_words(&queue, trouble);
        reds.push(Red { count: "Stuck".to_owned(), words, address: "/jobs/queues".to_owned() });
    }
    Ok(reds)
}
