//! Posts and their deliveries: the content, and its publication on each account.

mod delete_staged_pictures;
mod delivery_state;
mod matching;
mod publish_post;
mod schedule;
pub mod store;
pub mod text;

pub use delete_staged_pictures::DeleteStagedPictures;
pub use delivery_state::DeliveryState;
pub use publish_post::PublishPost;
pub use schedule::{NewPost, Placement, ScheduleError, create, schedule};
