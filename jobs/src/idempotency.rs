//! Idempotent requests. A request has one effect however often it arrives, and its response is
//! stored.
//!
//! A request claims its key in its own transaction. Its last statement before the commit stores the
//! response, if the key's row still has the request's id ([`store::answer`]). So the response
//! exists if and only if the effect does.
//!
//! A request that takes a key over waits for the lock of the key's row, and then gives the row
//! another id. By then one of two things has happened. The transaction of the first holder has
//! committed, and the key has its response. Or it has not, and it will find no row and roll back.

pub mod store;

use std::time::Duration;

/// The number of hours that a response is kept. After that its key is free.
pub const KEPT_HOURS: i32 = 24;

/// The time for which a request holds its key. Its process renews it while the request runs.
/// Correctness does not depend on it: a request whose key was taken over cannot commit.
pub const LOCK: Duration = Duration::from_secs(10);
