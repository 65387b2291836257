//! Folders and pictures: their rows, their bytes in storage, and rendering text over them.

mod render_overlay;
mod storage;
pub mod store;

pub use drawing::{MAX_UPLOAD_BYTES, Overlay, Picture, PictureError, Position};
pub use render_overlay::RenderOverlay;
pub use storage::{Storage, StorageError};
