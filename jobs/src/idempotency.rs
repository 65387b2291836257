//! Requests that are to have one effect however often they arrive, and what they were answered.

pub mod store;

use std::time::Duration;

/// An answer is kept for so long, and then its key is free.
pub const KEPT_HOURS: i32 = 24;

/// A request holds its key for so long at most; then the process that ran it is taken for dead. Longer than any request may run.
pub const LOCK: Duration = Duration::from_secs(90);
