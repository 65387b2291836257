//! What keeps the engine's own tables small.

mod prune_history;

pub use prune_history::PruneHistory;
