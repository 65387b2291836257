//! Jobs for operators: bulk actions on many jobs, and alerts.

mod act_on_jobs;
mod bulk;
mod report_poison;

pub use act_on_jobs::ActOnJobs;
pub use bulk::{MAX_AT_ONCE, Order, Selection, Tally, act_on_selection, preview_selection, select};
pub use report_poison::ReportPoison;
