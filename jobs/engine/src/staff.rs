//! Operations for staff, to read and to act: jobs, queues, workers, parked accounts.

pub mod figures;
pub mod ledger;
pub mod parked;
mod plans;
pub mod queues;
pub mod stats;
