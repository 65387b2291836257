//! Draws text over a picture, as JPEG: the picture is scaled to the size that networks show, and
//! the text has a band behind it.

use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::Context as _;
use cosmic_text::{Align, Attrs, Buffer, Color, Family, FontSystem, Metrics, Shaping, SwashCache, Weight, fontdb};
use fast_image_resize::{
    Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::U8x3,
};
use image::{DynamicImage, RgbImage};
use serde::{Deserialize, Serialize};

use crate::Picture;

/// The longer side of a drawn picture. Networks scale down further. Source: Instagram content
/// publishing, width 320..1440.
const MAX_SIDE_PX: u32 = 1440;

const JPEG_QUALITY: u8 = 88;

/// The opacity of the black band behind the text, out of 255.
const BAND_OPACITY: u16 = 150;

static FONT: &[u8] = include_bytes!("../fonts/DejaVuSans-Bold.ttf");

/// The fonts. There is one instance, because shaping caches glyphs in it.
static FONTS: LazyLock<Mutex<FontSystem>> = LazyLock::new(|| {
    let mut db = fontdb::Database::new();
    db.load_font_data(FONT.to_vec());
    Mutex::new(FontSystem::new_with_locale_and_db("en-US".to_owned(), db))
});

/// The position of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// Along the upper edge.
    Top,
    /// Across the middle.
    Center,
    /// Along the lower edge.
    #[default]
    Bottom,
}

/// Text to put over a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// The text: `{"text": "Pizza night", "position": "bottom"}`.
    pub text: String,
    /// The position of the text.
    #[serde(default)]
    pub position: Position,
}

impl Overlay {
    /// Draws over a decoded picture. Returns a JPEG and its format and size. It keeps a processor
    /// busy for some tens of milliseconds.
    ///
    /// # Errors
    /// Returns an error if the text does not fit, or if the picture cannot be scaled or encoded.
    pub fn draw(&self, picture: DynamicImage) -> anyhow::Result<(Vec<u8>, Picture)> {
        let mut canvas = scale(picture)?;
        let (width, height) = canvas.dimensions();
        let mut fonts = FONTS.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut text, band_height) =
            lay_out(&mut fonts, &self.text, width, height).context("the text does not fit")?;
        let top = match self.position {
            Position::Top => 0,
            Position::Center => (height - band_height) / 2,
            Position::Bottom => height - band_height,
        };
        darken(&mut canvas, top, band_height);
        let (left, padding) = (width / 20, (band_height - text_height(&text)) / 2);
        let mut cache = SwashCache::new();
        text.draw(&mut fonts, &mut cache, Color::rgb(255, 255, 255), |x, y, w, h, color| {
            for (dx, dy) in (0..w).flat_map(|dx| (0..h).map(move |dy| (dx, dy))) {
                let x = x + (left + dx).cast_signed();
                let y = y + (top + padding + dy).cast_signed();
                blend(&mut canvas, x, y, color);
            }
        });
        let mut jpeg = Vec::new();
        let size = |side: u32| u16::try_from(side).context("the picture is too large");
        jpeg_encoder::Encoder::new(&mut jpeg, JPEG_QUALITY).encode(
            &canvas,
            size(width)?,
            size(height)?,
            jpeg_encoder::ColorType::Rgb,
        )?;
        Ok((jpeg, Picture { content_type: "image/jpeg", width_px: width, height_px: height }))
    }
}

/// Scales a picture down to [`MAX_SIDE_PX`]; a smaller one stays as it is.
fn scale(picture: DynamicImage) -> anyhow::Result<RgbImage> {
    let source = picture.into_rgb8();
    let longer = source.width().max(source.height());
    if longer <= MAX_SIDE_PX {
        return Ok(source);
    }
    let scaled = |side: u32| (u64::from(side) * u64::from(MAX_SIDE_PX) / u64::from(longer)).max(1);
    let (width, height) = (u32::try_from(scaled(source.width()))?, u32::try_from(scaled(source.height()))?);
    let mut target = vec![0; width as usize * height as usize * 3];
    // The type of the pixels is fixed, because a dynamic one would compile the scaling of every
    // type.
    let from = TypedImageRef::<U8x3>::from_buffer(source.width(), source.height(), source.as_raw())?;
    let mut to = TypedImage::<U8x3>::from_buffer(width, height, &mut target)?;
    Resizer::new().resize_typed(&from, &mut to, None)?;
    RgbImage::from_raw(width, height, target).context("the scaled picture has another size")
}

/// Lays the text out as large as it fits into 90 % of the width and 40 % of the height. Returns it
/// with the height of its band, or `None` if it does not fit at the smallest readable size.
fn lay_out(fonts: &mut FontSystem, words: &str, width: u32, height: u32) -> Option<(Buffer, u32)> {
    let attrs = Attrs::new().family(Family::SansSerif).weight(Weight::BOLD);
    let attrs = attrs.family(Family::Name("DejaVu Sans"));
    for divisor in [12, 16, 20, 26, 34, 44] {
        let size_px = to_f32(width.min(height) / divisor).max(8.0);
        let mut buffer = Buffer::new(fonts, Metrics::relative(size_px, 1.25));
        buffer.set_size(Some(to_f32(width) * 0.9), None);
        buffer.set_text(words, &attrs, Shaping::Advanced, Some(Align::Center));
        buffer.shape_until_scroll(fonts, false);
        let band_height = text_height(&buffer) + width.min(height) / 15;
        if u64::from(band_height) * 10 <= u64::from(height) * 4 {
            return Some((buffer, band_height));
        }
    }
    None
}

fn text_height(buffer: &Buffer) -> u32 {
    let bottom = buffer.layout_runs().map(|run| run.line_top + run.line_height).fold(0.0_f32, f32::max);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few thousand pixels, never negative"
    )]
    let height = bottom.ceil() as u32;
    height
}

fn to_f32(side: u32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand pixels")]
    let side = side as f32;
    side
}

fn darken(canvas: &mut RgbImage, top: u32, height: u32) {
    let row_bytes = canvas.width() as usize * 3;
    let band = &mut canvas.as_flat_samples_mut().samples[top as usize * row_bytes..][..height as usize * row_bytes];
    for sample in band {
        *sample = mix(*sample, 0, BAND_OPACITY);
    }
}

fn blend(canvas: &mut RgbImage, x: i32, y: i32, color: Color) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
        return;
    };
    if let Some(pixel) = canvas.get_pixel_mut_checked(x, y) {
        for (sample, ink) in pixel.0.iter_mut().zip([color.r(), color.g(), color.b()]) {
            *sample = mix(*sample, ink, u16::from(color.a()));
        }
    }
}

fn mix(below: u8, above: u8, opacity: u16) -> u8 {
    let sum = u16::from(below) * (255 - opacity) + u16::from(above) * opacity;
    u8::try_from(sum / 255).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(text: &str) -> Overlay {
        Overlay { text: text.to_owned(), position: Position::Bottom }
    }

    fn gray(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_pixel(width, height, image::Rgb([128, 128, 128])).into()
    }

    #[test]
    fn the_text_stands_in_a_band_at_its_place() {
        let (jpeg, picture) = overlay("Pizza night").draw(gray(600, 400)).unwrap();
        assert_eq!((picture.width_px, picture.height_px), (600, 400));
        let drawn = image::load_from_memory(&jpeg).unwrap().into_luma8();
        assert!(drawn.get_pixel(300, 10).0[0].abs_diff(128) < 4, "the picture above is untouched");
        let band: Vec<u8> =
            (350..400).flat_map(|y| (0..600).map(move |x| (x, y))).map(|(x, y)| drawn.get_pixel(x, y).0[0]).collect();
        assert!(band.iter().any(|&value| value > 230), "letters are white");
        assert!(band.iter().filter(|&&value| value < 80).count() > 10_000, "the band is dark");
    }

    #[test]
    fn large_pictures_are_scaled_down_and_keep_their_shape() {
        let (_, picture) = overlay("x").draw(gray(4000, 3000)).unwrap();
        assert_eq!((picture.width_px, picture.height_px), (1440, 1080));
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused() {
        assert!(overlay(&"words ".repeat(2_000)).draw(gray(300, 300)).is_err());
    }
}
