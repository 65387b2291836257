//! Actions of operators on jobs, queues and periodic work, and the alerts that they get.

mod act_on_jobs;
mod bulk;
mod one_job;
mod periodic;
mod queues;
mod report_poison;
mod resolve;

pub use act_on_jobs::ActOnJobs;
pub use bulk::{
    ActedOnMany, MAX_AT_ONCE, MAX_COUNTED, Order, Selection, Tally, act_on_filter, act_on_selection, preview_selection,
    select,
};
pub use one_job::{ByHand, act_on_job, enqueue_by_hand, release_account};
pub use periodic::{pause_periodic, run_periodic};
pub use queues::{QueueChange, change_queue};
pub use report_poison::ReportPoison;
pub use resolve::{Settlement, settle_effect};
