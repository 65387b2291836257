//! Calendars: a month of posts, planned and written by AI.

mod create;
mod generate_calendar;
pub mod reserve;
pub mod store;
mod write_caption;

pub use create::{CreateError, NewCalendar, create};
pub use generate_calendar::GenerateCalendar;
pub use write_caption::WriteCaption;
