//! Statistics for staff: waiting work, workers, health. The cost does not grow with the number of
//! jobs, since counts end at [`MAX_COUNT`]. All functions need the system scope.

mod alerts;
mod board;
mod due;
mod health;
mod poison;
mod queues;
mod tenant;
mod workers;

pub use alerts::Alerts;
pub use board::{Board, read_board};
pub use due::oldest_due;
pub use health::{Trouble, find_troubles};
pub use poison::list_poisoned;
pub use queues::{Count, Depths, Finished, Sizes, depths, finished_lately, sizes};
pub use tenant::tenant_counts;
pub use workers::{Running, WorkerRow, list_running, list_workers};

/// The highest number that is counted to. A count that stops there says so.
pub const MAX_COUNT: i64 = 10_000;
