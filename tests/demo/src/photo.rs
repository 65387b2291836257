//! The demo's photos. They are drawn, so that no real picture has to be shipped, but lit and
//! grained like photos.

mod canvas;
mod coffee;
mod noise;
mod pizza;

use canvas::{Canvas, Rgb};
pub(crate) use coffee::coffee;
pub(crate) use pizza::pizza;

/// Returns the colour between `from` and `to`, by `share`.
fn mix(from: Rgb, to: Rgb, share: f32) -> Rgb {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

/// Returns the colour under another amount of light.
fn lit(color: Rgb, light: f32) -> Rgb {
    color.map(|channel| channel * light)
}

/// Returns 0 below `low`, 1 above `high`, and a smooth value between. It falls if `low` is above
/// `high`.
fn step(low: f32, high: f32, value: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// Returns the share of a point that a shape covers whose edge is this far away. Distances inside
/// are negative.
fn inside(distance: f32) -> f32 {
    step(2.0, -2.0, distance)
}

/// Returns the point in the frame of an object turned by `angle` (radians).
fn turned(x: f32, y: f32, angle: f32) -> (f32, f32) {
    let (sin, cos) = angle.sin_cos();
    (x * cos + y * sin, y * cos - x * sin)
}

/// Returns the light from the upper left on a face that rises towards the middle; 1 is level.
fn facing(x: f32, y: f32, slope: f32) -> f32 {
    let length = x.hypot(y).max(0.001);
    1.0 - slope * (x * 0.6 + y * 0.8) / length
}
