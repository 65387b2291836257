//! Reads pictures that people upload.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

/// The largest upload.
pub const MAX_UPLOAD_BYTES: usize = 20 * 1024 * 1024;

/// The maximum number of pixels of a side.
const MAX_SIDE_PX: u32 = 12_000;

/// The maximum number of pixels in all.
pub const MAX_PIXELS: u64 = 40_000_000;

/// The maximum memory of a decoded picture: 40 megapixels of four channels.
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
    /// It is broken or cut off.
    #[error("the picture cannot be read: it is broken or cut off")]
    Unreadable(#[source] image::ImageError),
    /// It has too many pixels.
    #[error("the picture has more than 40 megapixels (20 with 16 bits a channel) or 12,000 pixels a side")]
    TooManyPixels,
}

impl Picture {
    /// Reads the format and the size, and decodes nothing.
    ///
    /// # Errors
    /// Returns the [`PictureError`] to report to the client.
    pub fn inspect(bytes: &[u8]) -> Result<Self, PictureError> {
        if bytes.len() > MAX_UPLOAD_BYTES {
            return Err(PictureError::TooLarge);
        }
        let format = image::guess_format(bytes).map_err(|_| PictureError::Format)?;
        let content_type = content_type(format).ok_or(PictureError::Format)?;
        let (width_px, height_px) = decoder(bytes)?.dimensions();
        Ok(Self { content_type, width_px, height_px })
    }

    /// Reads the format and the size, and decodes the pixels once, so that a truncated file is
    /// rejected now and not when it is published.
    ///
    /// # Errors
    /// Returns the [`PictureError`] to report to the client.
    pub fn probe(bytes: &[u8]) -> Result<Self, PictureError> {
        let picture = Self::inspect(bytes)?;
        decode(bytes)?;
        Ok(picture)
    }

    /// Returns the number of pixels, which decides on the cost of decoding.
    #[must_use]
    pub fn pixels(&self) -> u64 {
        u64::from(self.width_px) * u64::from(self.height_px)
    }
}

/// Decodes a picture within limits of memory.
///
/// # Errors
/// Returns [`PictureError::Unreadable`] or [`PictureError::TooManyPixels`].
pub fn decode(bytes: &[u8]) -> Result<DynamicImage, PictureError> {
    DynamicImage::from_decoder(decoder(bytes)?).map_err(PictureError::Unreadable)
}

/// Reads the header, and rejects a picture that exceeds a limit.
fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder, PictureError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| PictureError::Unreadable(error.into()))?;
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| {
        if matches!(error, ImageError::Limits(_)) {
            PictureError::TooManyPixels
        } else {
            PictureError::Unreadable(error)
        }
    })?;
    let (width, height) = decoder.dimensions();
    let is_small = width.max(height) <= MAX_SIDE_PX
        && u64::from(width) * u64::from(height) <= MAX_PIXELS
        && decoder.total_bytes() <= MAX_DECODED_BYTES;
    if is_small { Ok(decoder) } else { Err(PictureError::TooManyPixels) }
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
    fn a_picture_with_too_many_pixels_is_refused_unread() {
        assert!(matches!(Picture::probe(&png(MAX_SIDE_PX + 1, 1)), Err(PictureError::TooManyPixels)));
        // A bit a pixel: 144 megapixels in 18 KB.
        let mut bilevel = Vec::new();
        let mut encoder = png::Encoder::new(&mut bilevel, 12_000, 12_000);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder.write_header().unwrap().write_image_data(&vec![0; 1500 * 12_000]).unwrap();
        assert!(matches!(Picture::inspect(&bilevel), Err(PictureError::TooManyPixels)));
    }
}
