//! Idempotent requests: a request has one effect however often it arrives, and its response is
//! stored.
//!
//! A request claims its key in a transaction of its own. Its last statement before the commit stores
//! the response, if the key's row still has the request's id ([`store::answer`]). So the response is
//! there exactly if the effect is.
//!
//! A request that takes a key over waits for the lock of the key's row, and then gives the row
//! another id. By then the transaction of the first holder has committed, and the key has its
//! response. Or it has not, and it will find no row and roll back.

pub mod store;

use std::time::Duration;

/// The number of hours that a response is kept. After that its key is free.
pub const KEPT_HOURS: i32 = 24;

/// The time for which a request holds its key. Its process renews it while the request runs.
/// Correctness does not depend on it: a request whose key was taken over cannot commit.
pub const LOCK: Duration = Duration::from_secs(10);
