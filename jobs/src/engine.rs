//! The job engine, with [`Services`] as the clients that our jobs share.

pub use ::engine::*;

use crate::services::Services;

/// The engine of our jobs.
pub type Engine = ::engine::Engine<Services>;

/// A kind of our jobs.
pub type Kind = ::engine::Kind<Services>;

/// The context of one attempt of our jobs.
pub type JobContext = ::engine::JobContext<Services>;
