//! What staff do to many jobs.

mod act_on_jobs;
mod bulk;

pub use act_on_jobs::ActOnJobs;
pub use bulk::{MAX_AT_ONCE, Order, Selection, Tally, act_on_selection, preview_selection, select};
