//! The pages about what runs the jobs: queues, workers, periodic work, parked accounts, and figures
//! of the past.

mod parked;
mod periodic;
mod queues;
mod stats;
mod workers;

pub(super) use self::{
    parked::{release, show as show_parked},
    periodic::{change as change_periodic, show as show_periodic},
    queues::{change as change_queue, limit as limit_queue, show as show_queues},
    stats::show as show_stats,
    workers::show as show_workers,
};

/// The permission to change how work runs.
const MAY_CHANGE: &str = "engine:write";
