//! The engine that runs the jobs: queues, workers, parked accounts and periodic work.

pub(crate) mod board;
pub(crate) mod board_stream;
pub(crate) mod figures;
pub(crate) mod parked;
pub(crate) mod periodic;
pub(crate) mod queues;
pub(crate) mod workers;
