//! A cup of coffee with a heart of milk, from above.

use super::{Canvas, Rgb, facing, inside, lit, mix, noise::noise, step, turned};

const MIDDLE: (f32, f32) = (-60.0, -30.0);
const SAUCER: f32 = 470.0;
const CUP: f32 = 318.0;
const COFFEE: f32 = 282.0;
const CHINA: Rgb = [0.8, 0.79, 0.77];

/// Returns the photo as a JPEG.
pub(crate) fn coffee() -> anyhow::Result<Vec<u8>> {
    let mut canvas = Canvas::new(table);
    for (x, y, angle) in [
        (560.0, -380.0, 0.4),
        (640.0, -300.0, 2.0),
        (520.0, -270.0, 1.1),
        (690.0, -420.0, 2.7),
        (-660.0, 420.0, 0.9),
        (-590.0, 490.0, 2.4),
        (600.0, 250.0, 1.7),
    ] {
        bean(&mut canvas, (x, y), angle);
    }
    canvas.shade((MIDDLE.0 + 28.0, MIDDLE.1 + 40.0), SAUCER, 56.0, 0.7);
    canvas.paint(MIDDLE, SAUCER + 3.0, saucer);
    canvas.shade((MIDDLE.0 + 34.0, MIDDLE.1 + 48.0), CUP - 10.0, 52.0, 0.6);
    canvas.paint(MIDDLE, 480.0, ear);
    canvas.paint(MIDDLE, CUP + 3.0, cup);
    canvas.paint(MIDDLE, COFFEE + 3.0, crema);
    canvas.paint((MIDDLE.0, MIDDLE.1 + 8.0), 230.0, milk);
    spoon(&mut canvas, (MIDDLE.0 + 90.0, MIDDLE.1 + 395.0), -0.12);
    canvas.develop()
}

/// Paints light planks.
fn table(x: f32, y: f32) -> Rgb {
    let plank = ((x + 900.0) / 260.0).floor();
    let seam = (x + 900.0) / 260.0 - plank;
    let grain = noise(x * 0.05, y * 0.003 + plank * 23.0, 4);
    let wood = mix([0.33, 0.2, 0.11], [0.6, 0.41, 0.25], grain * 1.1 + 0.3 * noise(plank * 1.7, 8.0, 1) - 0.15);
    lit(wood, 0.35 + 0.65 * step(0.0, 0.018, seam.min(1.0 - seam)))
}

fn saucer(x: f32, y: f32) -> (Rgb, f32) {
    let from_middle = x.hypot(y);
    let groove = step(14.0, 0.0, (from_middle - 355.0).abs());
    let rim = step(SAUCER - 20.0, SAUCER, from_middle);
    let light = facing(x, y, 0.1 - 0.22 * groove + 0.2 * rim);
    (lit(CHINA, light * 0.92), inside(from_middle - SAUCER))
}

/// Paints the cup's handle: a ring beside it.
fn ear(x: f32, y: f32) -> (Rgb, f32) {
    let (along, across) = turned(x, y, -0.5);
    let (along, across) = ((along - 355.0) / 1.25, across);
    let ring = (along.hypot(across) - 62.0).abs() - 19.0;
    (lit(CHINA, 0.78 + 0.28 * step(6.0, -19.0, ring) - 0.12 * (across / 80.0)), inside(ring))
}

fn cup(x: f32, y: f32) -> (Rgb, f32) {
    let from_middle = x.hypot(y);
    let across = (from_middle - COFFEE) / (CUP - COFFEE);
    // The wall falls inwards up to the lip, and outwards behind it.
    let light = facing(x, y, (across - 0.55) * 0.75) - 0.22 * step(0.25, 0.0, across);
    (lit(CHINA, light), inside(from_middle - CUP))
}

fn crema(x: f32, y: f32) -> (Rgb, f32) {
    let from_middle = x.hypot(y);
    let swirl = noise(x * 0.011 + 3.0, y * 0.011, 4);
    let brown = mix([0.36, 0.15, 0.04], [0.16, 0.055, 0.015], swirl * 0.9 + step(200.0, COFFEE, from_middle) * 0.55);
    let bubbles = step(0.74, 0.86, noise(x * 0.12, y * 0.12, 2)) * 0.35;
    let under_wall = 1.0 - 0.45 * step(70.0, -30.0, COFFEE - (x + 20.0).hypot(y + 30.0));
    (lit(mix(brown, [0.62, 0.36, 0.15], bubbles), under_wall), inside(from_middle - COFFEE))
}

/// Paints a heart of milk, poured in layers.
fn milk(x: f32, y: f32) -> (Rgb, f32) {
    let sway = 10.0 * (noise(x * 0.012, y * 0.012 + 6.0, 2) - 0.5);
    let (across, up) = ((x + sway) / 150.0, -(y + sway) / 150.0 + 0.08);
    let height = 1.15 * up - 0.62 * across.abs().sqrt() + 0.12;
    let heart = across.hypot(height);
    let layers = 0.5 + 0.5 * (heart * 21.0).cos();
    let cover = step(1.02, 0.97, heart) * (1.0 - 0.72 * step(0.55, 0.75, heart) * (1.0 - step(0.3, 0.6, layers)));
    (mix([0.9, 0.78, 0.6], [0.82, 0.62, 0.4], noise(x * 0.02, y * 0.02, 3) * 0.6), cover * 0.95)
}

fn spoon(canvas: &mut Canvas, middle: (f32, f32), angle: f32) {
    let edge = |x: f32, y: f32| {
        let (along, across) = turned(x, y, angle);
        let bowl = ((along + 190.0) / 1.55).hypot(across) - 44.0;
        let stem = (across.abs() - 7.0 - 5.0 * step(60.0, 300.0, along)).max((along - 60.0).abs() - 240.0);
        (bowl.min(stem), bowl, along, across)
    };
    canvas.paint((middle.0 + 10.0, middle.1 + 14.0), 320.0, |x, y| {
        ([0.05, 0.04, 0.03], step(12.0, -8.0, edge(x, y).0) * 0.5)
    });
    canvas.paint(middle, 320.0, |x, y| {
        let (edge, bowl, along, across) = edge(x, y);
        let sheen = 0.42 - 0.2 * (across / 18.0).clamp(-1.0, 1.0) + 0.1 * (along * 0.02).sin();
        let hollow = step(4.0, -30.0, bowl) * (0.35 * (across / 44.0) + 0.1);
        (lit([1.0, 0.98, 0.95], sheen + hollow), inside(edge))
    });
}

fn bean(canvas: &mut Canvas, middle: (f32, f32), angle: f32) {
    canvas.shade((middle.0 + 7.0, middle.1 + 9.0), 31.0, 12.0, 0.5);
    canvas.paint(middle, 46.0, |x, y| {
        let (along, across) = turned(x, y, angle);
        let edge = (along / 42.0).hypot(across / 28.0);
        let roast = mix([0.12, 0.05, 0.02], [0.055, 0.022, 0.01], noise(x * 0.08, y * 0.08, 2));
        let crease = step(4.0, 1.0, (across - 5.0 * (along * 0.07).sin()).abs());
        let shine = step(20.0, 0.0, (x + 12.0).hypot(y + 12.0)) * 0.3;
        (mix(lit(roast, facing(x, y, 0.3 * edge) - 0.6 * crease), [0.7, 0.55, 0.45], shine), step(1.03, 0.97, edge))
    });
}
