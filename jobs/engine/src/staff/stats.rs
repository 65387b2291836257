//! What staff look at: how much waits, who works, whether anything moves. Cheap whatever the number of jobs: counts end at
//! [`MAX_COUNT`]. All of it needs the system scope.

mod health;
mod poison;
mod queues;
mod workers;

pub use health::{Trouble, find_troubles};
pub use poison::list_poisoned;
pub use queues::{Count, Depths, Finished, Sizes, depths, finished_lately, oldest_due, sizes};
pub use workers::{Running, WorkerRow, list_running, list_workers};

/// Counted at most; where there are more, the count says so.
pub const MAX_COUNT: i64 = 10_000;
