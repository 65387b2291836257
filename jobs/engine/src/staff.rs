//! What operators see and do: jobs, queues, workers, parked accounts.

pub mod ledger;
pub mod parked;
pub mod queues;
pub mod stats;
