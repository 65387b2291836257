//! The pages about what runs the jobs: queues, workers, periodic work and parked accounts.

mod parked;
mod periodic;
mod queues;
mod workers;

pub(super) use self::{
    parked::{release, show as show_parked},
    periodic::{change as change_periodic, show as show_periodic},
    queues::{change as change_queue, limit as limit_queue, show as show_queues},
    workers::show as show_workers,
};

/// The permission to change how work runs.
const MAY_CHANGE: &str = "engine:write";
