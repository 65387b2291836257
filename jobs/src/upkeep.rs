//! Jobs that keep the engine's own tables small, and count from them.

mod count_figures;
mod index_words;
mod prune_history;
mod prune_idempotency_keys;

pub use count_figures::CountFigures;
pub use index_words::IndexWords;
pub use prune_history::PruneHistory;
pub use prune_idempotency_keys::PruneIdempotencyKeys;
