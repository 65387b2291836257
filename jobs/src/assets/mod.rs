//! Folders and pictures: what they are, where their bytes are.

mod storage;
pub mod store;

pub use drawing::{MAX_UPLOAD_BYTES, Picture, PictureError};
pub use storage::{Storage, StorageError};
