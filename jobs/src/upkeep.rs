//! Jobs that keep the database in order, and count from it.

mod count_figures;
mod index_words;
mod prune_history;
mod prune_idempotency_keys;
mod rotate_encryption_keys;

pub use count_figures::CountFigures;
pub use index_words::IndexWords;
pub use prune_history::PruneHistory;
pub use prune_idempotency_keys::PruneIdempotencyKeys;
pub use rotate_encryption_keys::RotateEncryptionKeys;
