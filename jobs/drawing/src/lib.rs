//! Pictures: reads uploads, and draws text over them.
//!
//! The crate decodes, scales, draws and encodes. It knows neither the database nor the network.
//! Development builds optimise it too, because drawing would otherwise take seconds.

mod overlay;
mod picture;

pub use overlay::{Overlay, Position};
pub use picture::{MAX_CHECKING_BYTES, MAX_UPLOAD_BYTES, Picture, PictureError, decode};
