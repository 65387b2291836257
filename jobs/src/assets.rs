//! Folders and pictures: their rows, their bytes in storage, and rendering text over them.

mod render_overlay;
mod request;
mod storage;
pub mod store;
mod upload;

pub use drawing::{MAX_CHECKING_BYTES, MAX_UPLOAD_BYTES, Overlay, Picture, PictureError, Position};
pub use render_overlay::RenderOverlay;
pub use request::{create_folder, request_overlay};
pub use storage::{Storage, StorageError};
pub use upload::{Upload, UploadError, add, drop_bytes, store_bytes};
