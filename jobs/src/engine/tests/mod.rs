//! The engine's promises, on a real database.

mod fence;
mod isolation;
mod lifecycle;
