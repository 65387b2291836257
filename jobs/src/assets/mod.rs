//! Folders and pictures: what they are, where their bytes are.

pub(crate) mod picture;
mod storage;
pub mod store;

pub use picture::{MAX_UPLOAD_BYTES, Picture, PictureError};
pub use storage::{Storage, StorageError};
