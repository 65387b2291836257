//! Idempotency keys: requests that have one effect however often they arrive, and their answers.
//!
//! A request claims its key in a transaction of its own. Its last statement before the commit keeps the answer, where the key's
//! row still has the request's id ([`store::answer`]): so the answer is there exactly if the effect is. Whoever takes the key
//! over gives the row another id, and waits for the row's lock before: the transaction of a holder that was overtaken has either
//! committed, and then the key has its answer, or finds no row and rolls back.

pub mod store;

use std::time::Duration;

/// An answer is kept for so long, and then its key is free.
pub const KEPT_HOURS: i32 = 24;

/// A request holds its key for so long, and longer while its process says that it runs. Nothing depends on it: a request that
/// was overtaken cannot commit any more.
pub const LOCK: Duration = Duration::from_secs(10);
