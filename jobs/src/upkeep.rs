//! Jobs that keep the engine's own tables small.

mod prune_history;
mod prune_idempotency_keys;

pub use prune_history::PruneHistory;
pub use prune_idempotency_keys::PruneIdempotencyKeys;
