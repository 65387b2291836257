//! Checks pictures as the provider does when it receives them.

use std::io::Cursor;

use image::{ImageFormat, ImageReader};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A received and valid picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Picture {
    pub(crate) sha256: String,
    pub(crate) size_bytes: usize,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) format: PictureFormat,
}

/// The format of a picture, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PictureFormat {
    Jpeg,
    Png,
    Gif,
}

impl PictureFormat {
    /// Returns the media type to serve it with.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
        }
    }
}

/// Decodes a picture. Returns `None` if its format is unknown, or if it is broken or incomplete.
pub(crate) fn inspect(bytes: &[u8]) -> Option<Picture> {
    let format = recognize(bytes)?;
    if !is_whole(bytes, format) {
        return None;
    }
    let (width, height) = match format {
        PictureFormat::Jpeg => decoded_size(bytes, ImageFormat::Jpeg)?,
        PictureFormat::Png => decoded_size(bytes, ImageFormat::Png)?,
        PictureFormat::Gif => gif_size(bytes)?,
    };
    if width == 0 || height == 0 {
        return None;
    }
    let sha256 = hex::encode(Sha256::digest(bytes));
    Some(Picture { sha256, size_bytes: bytes.len(), width, height, format })
}

fn recognize(bytes: &[u8]) -> Option<PictureFormat> {
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        Some(PictureFormat::Jpeg)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(PictureFormat::Png)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some(PictureFormat::Gif)
    } else {
        None
    }
}

/// Returns true if the end is present. Decoders accept a truncated JPEG.
fn is_whole(bytes: &[u8], format: PictureFormat) -> bool {
    let padding = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[..bytes.len() - padding];
    match format {
        PictureFormat::Jpeg => bytes.ends_with(&[0xff, 0xd9]),
        PictureFormat::Gif => bytes.ends_with(b";"),
        PictureFormat::Png => true,
    }
}

fn decoded_size(bytes: &[u8], format: ImageFormat) -> Option<(u32, u32)> {
    let picture = ImageReader::with_format(Cursor::new(bytes), format).decode().ok()?;
    Some((picture.width(), picture.height()))
}

/// Returns the size from a GIF's header; the `image` crate is built without GIF.
fn gif_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let width = bytes.get(6..8)?.try_into().ok().map(u16::from_le_bytes)?;
    let height = bytes.get(8..10)?.try_into().ok().map(u16::from_le_bytes)?;
    Some((width.into(), height.into()))
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        RgbImage::new(32, 16).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn pictures_are_recognized_and_measured() {
        let jpeg = inspect(&encoded(ImageFormat::Jpeg)).unwrap();
        assert_eq!((jpeg.width, jpeg.height, jpeg.format), (32, 16, PictureFormat::Jpeg));
        let png = inspect(&encoded(ImageFormat::Png)).unwrap();
        assert_eq!((png.width, png.height, png.format), (32, 16, PictureFormat::Png));
        let gif = inspect(b"GIF89a\x20\x00\x10\x00rest;").unwrap();
        assert_eq!((gif.width, gif.height, gif.format), (32, 16, PictureFormat::Gif));
    }

    #[test]
    fn half_a_picture_is_none() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let whole = encoded(format);
            assert_eq!(inspect(&whole[..whole.len() - 20]), None);
        }
        assert_eq!(inspect(b"\xff\xd8\xff\xe0 not a picture"), None);
        assert_eq!(inspect(b"<html></html>"), None);
        assert_eq!(inspect(b""), None);
    }
}
