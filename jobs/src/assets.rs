//! Folders and pictures: what they are, where their bytes are, and putting text over them.

mod render_overlay;
mod storage;
pub mod store;

pub use drawing::{MAX_PIXELS, MAX_UPLOAD_BYTES, Overlay, Picture, PictureError, Position};
pub use render_overlay::RenderOverlay;
pub use storage::{Storage, StorageError};
