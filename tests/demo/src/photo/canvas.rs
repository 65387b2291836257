//! The canvas of a photo.

use anyhow::Context as _;
use fast_image_resize::{
    Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::U8x3,
};
use image::{RgbImage, codecs::jpeg::JpegEncoder};

use super::{lit, mix, noise::scatter, step};

/// The width of the canvas. A photo is painted at half the size and enlarged, which gives it a
/// photo's softness and is four times as fast.
const WIDTH_PX: u16 = 800;
const HEIGHT_PX: u16 = 600;
const ENLARGED: u16 = 2;
const JPEG_QUALITY: u8 = 90;

/// Red, green and blue as amounts of light: 0 to 1.
pub(super) type Rgb = [f32; 3];

/// An unfinished picture. Places are pixels of the photo from its middle.
pub(super) struct Canvas(Vec<Rgb>);

impl Canvas {
    /// Paints the ground: a colour for every place.
    pub(super) fn new(ground: impl Fn(f32, f32) -> Rgb) -> Self {
        let places = (0..HEIGHT_PX).flat_map(|row| (0..WIDTH_PX).map(move |column| place(column, row)));
        Self(places.map(|(x, y)| ground(x, y)).collect())
    }

    /// Paints an object that extends at most `reach` from its middle. `ink` returns its colour and
    /// coverage at a place relative to that middle.
    pub(super) fn paint(&mut self, middle: (f32, f32), reach: f32, ink: impl Fn(f32, f32) -> (Rgb, f32)) {
        let columns = pixel(middle.0 - reach, WIDTH_PX)..pixel(middle.0 + reach, WIDTH_PX);
        let rows = pixel(middle.1 - reach, HEIGHT_PX)..pixel(middle.1 + reach, HEIGHT_PX);
        for row in rows {
            for column in columns.clone() {
                let (x, y) = place(column, row);
                let (color, cover) = ink(x - middle.0, y - middle.1);
                if cover > 0.0 {
                    let under = &mut self.0[usize::from(row) * usize::from(WIDTH_PX) + usize::from(column)];
                    *under = mix(*under, color, cover);
                }
            }
        }
    }

    /// Darkens the soft shadow of a disc.
    pub(super) fn shade(&mut self, middle: (f32, f32), radius: f32, softness: f32, strength: f32) {
        let shadow = |x: f32, y: f32| {
            let dark = step(radius + softness, radius - softness, x.hypot(y));
            ([0.02, 0.015, 0.01], dark * strength)
        };
        self.paint(middle, radius + softness, shadow);
    }

    /// Finishes the photo as a JPEG, with darker corners and grain.
    pub(super) fn develop(self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.0.len() * 3);
        let places = (0..HEIGHT_PX).flat_map(|row| (0..WIDTH_PX).map(move |column| (column, row)));
        for ((column, row), color) in places.zip(&self.0) {
            let (x, y) = place(column, row);
            let corner = 1.08 - 0.5 * step(350.0, 1150.0, x.hypot(y));
            let grain = 0.97 + 0.06 * scatter(i32::from(column), i32::from(row), 7);
            bytes.extend(lit(*color, corner * grain).map(byte));
        }
        let (width, height) = (u32::from(WIDTH_PX), u32::from(HEIGHT_PX));
        let painted = TypedImageRef::<U8x3>::from_buffer(width, height, &bytes)?;
        let (width, height) = (width * u32::from(ENLARGED), height * u32::from(ENLARGED));
        let mut enlarged = vec![0; width as usize * height as usize * 3];
        let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut enlarged)?;
        Resizer::new().resize_typed(&painted, &mut target, None)?;
        let photo = RgbImage::from_raw(width, height, enlarged).context("not a whole picture")?;
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY).encode_image(&photo)?;
        Ok(jpeg)
    }
}

fn place(column: u16, row: u16) -> (f32, f32) {
    let scale = f32::from(ENLARGED);
    ((f32::from(column) - f32::from(WIDTH_PX) / 2.0) * scale, (f32::from(row) - f32::from(HEIGHT_PX) / 2.0) * scale)
}

/// Returns the row or column, out of `count`, at a place.
fn pixel(place: f32, count: u16) -> u16 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as it should")]
    let pixel = (place / f32::from(ENLARGED) + f32::from(count) / 2.0) as u16;
    pixel.min(count)
}

/// Returns light as a byte, by the usual gamma (about 2).
fn byte(light: f32) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    let byte = (light.clamp(0.0, 1.0).sqrt() * 255.0).round() as u8;
    byte
}
