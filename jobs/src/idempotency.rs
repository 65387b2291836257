//! Idempotent requests: a request has one effect however often it arrives, and its response is
//! stored.

pub mod store;

use std::time::Duration;

/// The number of hours that a response is kept. After that its key is free.
pub const KEPT_HOURS: i32 = 24;

/// The maximum time that a request holds its key. After that, the process that ran it is considered
/// dead. It is longer than any request may run.
pub const LOCK: Duration = Duration::from_secs(90);
