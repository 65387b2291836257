//! The engine's promises, on a real database.

mod attempts;
mod batch;
mod children;
mod events;
mod fence;
mod isolation;
mod lifecycle;
mod lost_reply;
mod not_completed;
mod periodic;
mod planning;
mod rates;
mod release;
mod rerun;
mod shield;
mod stop;

use std::{collections::BTreeMap, time::Duration};

use super::{Claimed, drain::claim_due, lease};
use crate::{ids::WorkerId, testing::Bench};

/// A process that lives for a minute.
async fn register(bench: &Bench) -> WorkerId {
    let registration = lease::Registration {
        name: "test".to_owned(),
        queues: BTreeMap::new(),
        kinds: bench.engine.kind_names(),
        lease: Duration::from_mins(1),
    };
    lease::register(&bench.engine.db, &registration).await.unwrap()
}

/// Claims what is due.
async fn claim_all(bench: &Bench, worker: WorkerId) -> Vec<Claimed> {
    claim_due(&bench.engine, worker, &bench.engine.kind_names()).await.unwrap()
}
