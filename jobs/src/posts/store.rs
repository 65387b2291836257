//! The SQL of posts and deliveries.

mod deliveries;
mod outcomes;
mod posts;
mod staged;

pub use deliveries::*;
pub use outcomes::*;
pub use posts::*;
pub use staged::*;
