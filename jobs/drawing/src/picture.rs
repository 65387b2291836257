//! Reads pictures that people upload.

use std::{error::Error, io::Cursor};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use zune_jpeg::{ImageInfo, JpegDecoder, zune_core::bytestream::ZCursor};

/// The largest upload.
pub const MAX_UPLOAD_BYTES: usize = 20 * 1024 * 1024;

/// The maximum number of pixels of a side.
const MAX_SIDE_PX: u32 = 12_000;

/// The maximum number of pixels in all: phones take photos of 50 megapixels.
const MAX_PIXELS: u64 = 52_000_000;

/// The maximum memory of a decoded picture: 52 megapixels of three channels, 40 of four.
const MAX_DECODED_BYTES: u64 = 160 * 1024 * 1024;

/// The maximum memory that checking an upload takes: 29 megapixels of a progressive JPEG, of which
/// all coefficients are kept.
pub const MAX_CHECKING_BYTES: usize = 256 * 1024 * 1024;

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
    Unreadable(#[source] Box<dyn Error + Send + Sync>),
    /// It has too many pixels.
    #[error(
        "the picture has more than 52 megapixels (40 with transparency, 29 as a progressive JPEG, 20 with 16 bits a \
         channel) or 12,000 pixels a side"
    )]
    TooManyPixels,
}

impl Picture {
    /// Reads the format and the size, and decodes nothing. Also returns the bytes of memory that
    /// [`Picture::probe`] takes.
    ///
    /// # Errors
    /// Returns the [`PictureError`] to report to the client.
    pub fn inspect(bytes: &[u8]) -> Result<(Self, usize), PictureError> {
        if bytes.len() > MAX_UPLOAD_BYTES {
            return Err(PictureError::TooLarge);
        }
        let format = image::guess_format(bytes).map_err(|_| PictureError::Format)?;
        let content_type = content_type(format).ok_or(PictureError::Format)?;
        let (width_px, height_px) = decoder(bytes)?.dimensions();
        // Rows of a PNG are read one by one.
        let checking_bytes = if format == ImageFormat::Jpeg { jpeg_bytes(bytes)? } else { 0 };
        if checking_bytes > MAX_CHECKING_BYTES {
            return Err(PictureError::TooManyPixels);
        }
        Ok((Self { content_type, width_px, height_px }, checking_bytes))
    }

    /// Reads the format and the size, and decodes the pixels once, so that a truncated file is
    /// rejected now and not when it is published.
    ///
    /// # Errors
    /// Returns the [`PictureError`] to report to the client.
    pub fn probe(bytes: &[u8]) -> Result<Self, PictureError> {
        let (picture, _) = Self::inspect(bytes)?;
        if picture.content_type == "image/jpeg" {
            jpeg(bytes)?.decode().map_err(unreadable)?;
        } else {
            let mut rows = png::Decoder::new(Cursor::new(bytes)).read_info().map_err(unreadable)?;
            while rows.next_row().map_err(unreadable)?.is_some() {}
        }
        Ok(picture)
    }
}

/// Reads the headers of a JPEG, without a copy of its bytes.
fn jpeg(bytes: &[u8]) -> Result<JpegDecoder<ZCursor<&[u8]>>, PictureError> {
    let mut decoder = JpegDecoder::new(ZCursor::new(bytes));
    decoder.decode_headers().map_err(unreadable)?;
    Ok(decoder)
}

/// Returns the memory that decoding a JPEG takes: its pixels, and coefficients of two bytes each
/// unless its first scan is all of it.
fn jpeg_bytes(bytes: &[u8]) -> Result<usize, PictureError> {
    let decoder = jpeg(bytes)?;
    let Some(info) = decoder.info() else { return Ok(usize::MAX) };
    let components = usize::from(info.components);
    // Baseline is the default.
    let has_one_scan = info.sof == ImageInfo::default().sof && components_of_first_scan(bytes) == Some(components);
    let bytes_per_pixel = 3 + if has_one_scan { 0 } else { 2 * components };
    Ok(usize::from(info.width) * usize::from(info.height) * bytes_per_pixel)
}

/// Returns the number of components in the first scan of a JPEG whose segments follow each other
/// without a gap. The decoder reads it too, but does not tell. Source: ITU T.81, B.1.1.
fn components_of_first_scan(bytes: &[u8]) -> Option<usize> {
    const START_OF_SCAN: u8 = 0xda;
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, marker, high, low, first, ..] = *rest else { return None };
        if marker == START_OF_SCAN {
            return Some(first.into());
        }
        rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..)?;
    }
}

fn unreadable(error: impl Error + Send + Sync + 'static) -> PictureError {
    PictureError::Unreadable(Box::new(error))
}

/// Decodes a picture within limits of memory.
///
/// # Errors
/// Returns [`PictureError::Unreadable`] or [`PictureError::TooManyPixels`].
pub fn decode(bytes: &[u8]) -> Result<DynamicImage, PictureError> {
    DynamicImage::from_decoder(decoder(bytes)?).map_err(unreadable)
}

/// Reads the header, and rejects a picture that exceeds a limit.
fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder, PictureError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(unreadable)?;
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| {
        if matches!(error, ImageError::Limits(_)) { PictureError::TooManyPixels } else { unreadable(error) }
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

    fn jpeg(width: u16, height: u16, is_progressive: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 80);
        encoder.set_progressive(is_progressive);
        encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
        let pixels = vec![120; usize::from(width) * usize::from(height) * 3];
        encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
        bytes
    }

    #[test]
    fn photos_of_phones_are_taken() {
        for (width, height) in [(5712, 4284), (8064, 6048), (8192, 6144)] {
            let (picture, bytes) = Picture::inspect(&jpeg(width, height, false)).unwrap();
            assert_eq!((picture.width_px, picture.height_px), (width.into(), height.into()));
            assert!(bytes < MAX_CHECKING_BYTES, "{bytes}");
        }
        let (_, bytes) = Picture::inspect(&jpeg(5712, 4284, true)).unwrap();
        assert!((200_000_000..MAX_CHECKING_BYTES).contains(&bytes), "{bytes}");
        assert!(matches!(Picture::inspect(&jpeg(8064, 6048, true)), Err(PictureError::TooManyPixels)));
        // Scans that hold one component each need all coefficients, progressive or not.
        let mut parted = jpeg(8064, 6048, false);
        let scan = parted.windows(3).position(|window| window == [0xff, 0xda, 0]).unwrap();
        parted[scan + 4] = 1;
        assert!(matches!(Picture::inspect(&parted), Err(PictureError::TooManyPixels | PictureError::Unreadable(_))));
        for is_progressive in [false, true] {
            let small = jpeg(37, 21, is_progressive);
            assert!(Picture::probe(&small).is_ok());
            assert!(matches!(Picture::probe(&small[..100]), Err(PictureError::Unreadable(_))));
        }
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
