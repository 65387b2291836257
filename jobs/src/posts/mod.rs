//! Posts and their deliveries: content, and what becomes of it on each account.

mod publish_post;
mod schedule;
pub mod store;

pub use publish_post::PublishPost;
pub use schedule::{Placement, ScheduleError, create, schedule};
