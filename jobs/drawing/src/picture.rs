//! Reads pictures that people upload.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

/// The largest upload.
pub const MAX_UPLOAD_BYTES: usize = 20 * 1024 * 1024;

/// The maximum number of pixels of a side.
const MAX_SIDE_PX: u32 = 12_000;

/// The maximum memory of a decoded picture: 40 megapixels.
const MAX_DECODED_BYTES: u64 = 160 * 1024 * 1024;

/// The format and size of a picture, read from its bytes. The file name and the declared type are
/// not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// `image/jpeg` or `image/png`.
    pub content_type: &'static str,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
}

/// The reasons for which bytes are not accepted as a picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It has too many bytes.
    #[error("the picture is larger than {} MiB", MAX_UPLOAD_BYTES / 1024 / 1024)]
    TooLarge,
    /// It has another format.
    #[error("the file is neither a JPEG nor a PNG")]
    Format,
    /// It cannot be read, or has too many pixels.
    #[error("the picture cannot be read, or has more than 40 megapixels")]
    Unreadable(#[source] image::ImageError),
}

impl Picture {
    /// Reads the format and the size.
    ///
    /// # Errors
    /// Returns the [`PictureError`] to report to the client.
    pub fn probe(bytes: &[u8]) -> Result<Self, PictureError> {
        if bytes.len() > MAX_UPLOAD_BYTES {
            return Err(PictureError::TooLarge);
        }
        let format = image::guess_format(bytes).map_err(|_| PictureError::Format)?;
        let content_type = content_type(format).ok_or(PictureError::Format)?;
        // The pixels are decoded once here, so that a truncated file is rejected now and not when
        // it is published.
        let decoded = decode(bytes)?;
        Ok(Self { content_type, width_px: decoded.width(), height_px: decoded.height() })
    }
}

/// Decodes a picture within limits of memory.
///
/// # Errors
/// Returns [`PictureError::Unreadable`] if it is malformed or exceeds a limit.
pub fn decode(bytes: &[u8]) -> Result<image::DynamicImage, PictureError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| PictureError::Unreadable(error.into()))?;
    reader.limits(limits);
    reader.decode().map_err(PictureError::Unreadable)
}

fn content_type(format: ImageFormat) -> Option<&'static str> {
    if format == ImageFormat::Jpeg {
        Some("image/jpeg")
    } else if format == ImageFormat::Png {
        Some("image/png")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::new(width, height).write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn the_kind_is_told_from_the_bytes() {
        let expected = Picture { content_type: "image/png", width_px: 30, height_px: 20 };
        assert_eq!(Picture::probe(&png(30, 20)).unwrap(), expected);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(matches!(Picture::probe(b"<svg/>"), Err(PictureError::Format)));
        assert!(matches!(Picture::probe(b"GIF89a0000"), Err(PictureError::Format)));
        let whole = png(30, 20);
        assert!(matches!(Picture::probe(&whole[..whole.len() / 2]), Err(PictureError::Unreadable(_))));
        assert!(matches!(Picture::probe(&vec![0; MAX_UPLOAD_BYTES + 1]), Err(PictureError::TooLarge)));
    }

    #[test]
    fn a_picture_with_too_many_pixels_is_refused() {
        assert!(matches!(Picture::probe(&png(MAX_SIDE_PX + 1, 1)), Err(PictureError::Unreadable(_))));
    }
}
