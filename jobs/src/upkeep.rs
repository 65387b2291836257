//! Jobs that keep the engine's own tables small, and count from them.

mod count_figures;
mod prune_history;
mod prune_idempotency_keys;

pub use count_figures::CountFigures;
pub use prune_history::PruneHistory;
pub use prune_idempotency_keys::PruneIdempotencyKeys;
