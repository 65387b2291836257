//! Tests of the engine's guarantees, on a real database.

mod attempts;
mod batch;
mod children;
mod events;
mod fence;
mod health;
mod isolation;
mod lifecycle;
mod lost_reply;
mod not_completed;
mod pacing;
mod periodic;
mod planning;
mod rates;
mod release;
mod rerun;
mod sharing;
mod shield;
mod stop;

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Claimed, Done, Job, JobContext, JobError, Kind, Queue, Retry, drain::claim_due, lease};
use crate::{ids::WorkerId, testing::Bench};

/// A job that does nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Noop {}

impl Job for Noop {
    type Services = ();

    const KIND: &'static str = "noop";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;

    async fn run(self, _cx: &JobContext<()>) -> Result<Done, JobError> {
        Ok(Done::nothing("there is nothing to do in a noop"))
    }
}

static NOOPS: &[Kind<()>] = &[Kind::of::<Noop>()];

/// Registers a process with a lease of a minute.
async fn register(bench: &Bench) -> WorkerId {
    let registration = lease::Registration {
        name: "test".to_owned(),
        queues: BTreeMap::new(),
        kinds: bench.engine.kind_names(),
        lease: Duration::from_mins(1),
    };
    lease::register(&bench.engine.db, &registration).await.unwrap()
}

/// All times: the clock stands where it is expected.
fn any_time() -> RangeInclusive<DateTime<Utc>> {
    DateTime::UNIX_EPOCH..=DateTime::UNIX_EPOCH + TimeDelta::days(1_000_000)
}

/// Claims all due jobs.
async fn claim_all(bench: &Bench, worker: WorkerId) -> Vec<Claimed> {
    claim_due(&bench.engine.db, worker, &bench.engine.kind_names()).await.unwrap()
}

#[test]
fn the_readme_shows_the_example() {
    assert!(include_str!("../README.md").contains(include_str!("../examples/greet.rs")));
}
