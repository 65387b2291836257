//! The SQL of posts and deliveries.

mod deliveries;
mod posts;

pub use deliveries::*;
pub use posts::*;
