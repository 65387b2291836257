//! Posts and their deliveries: content, and what becomes of it on each account.

mod delete_staged_pictures;
mod matching;
mod publish_post;
mod schedule;
pub mod store;
pub mod text;

pub use delete_staged_pictures::DeleteStagedPictures;
pub use publish_post::PublishPost;
pub use schedule::{Placement, ScheduleError, create, schedule};
