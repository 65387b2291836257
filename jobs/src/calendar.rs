//! Calendars: a month of posts, planned and written by AI.

mod generate_calendar;
pub mod reserve;
pub mod store;
mod write_caption;

pub use generate_calendar::GenerateCalendar;
pub use write_caption::WriteCaption;
