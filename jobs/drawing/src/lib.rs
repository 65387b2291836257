//! Pictures: reading what people upload, and drawing text over it.
//!
//! The crate decodes, scales, draws and encodes. It knows neither the database nor the network, and is compiled with
//! optimisation also in a development build, where drawing would otherwise take seconds.

mod overlay;
mod picture;

pub use overlay::{Overlay, Position};
pub use picture::{MAX_PIXELS, MAX_UPLOAD_BYTES, Picture, PictureError, decode};
