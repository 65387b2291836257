//! What runs the jobs: queues, workers, parked accounts, and what the clock enqueues.

pub(crate) mod parked;
pub(crate) mod periodic;
pub(crate) mod queues;
pub(crate) mod workers;
