//! A pizza on a plate, from above.

use std::f32::consts::TAU;

use super::{
    Canvas, Rgb, facing, inside, lit, mix,
    noise::{noise, scatter},
    step, turned,
};

const MIDDLE: (f32, f32) = (10.0, -20.0);
const PLATE: f32 = 565.0;
const CRUST: f32 = 505.0;
const CHEESE: f32 = 432.0;

/// Returns the photo as a JPEG.
pub(crate) fn pizza() -> anyhow::Result<Vec<u8>> {
    let mut canvas = Canvas::new(table);
    canvas.shade((MIDDLE.0 + 26.0, MIDDLE.1 + 38.0), PLATE, 60.0, 0.75);
    canvas.paint(MIDDLE, PLATE + 3.0, plate);
    canvas.shade((MIDDLE.0 + 10.0, MIDDLE.1 + 14.0), CRUST + 4.0, 24.0, 0.5);
    canvas.paint(MIDDLE, CRUST + 30.0, crust);
    canvas.paint(MIDDLE, CHEESE + 40.0, sauce);
    canvas.paint(MIDDLE, CHEESE + 20.0, cheese);
    for (count, ring, start) in [(9_u8, 325.0, 0.2), (5, 165.0, 0.7)] {
        for at in 0..count {
            let turn = start + TAU * f32::from(at) / f32::from(count) + 0.14 * scatter(at.into(), 3, 1);
            let ring = ring + 34.0 * (scatter(at.into(), 5, 2) - 0.5);
            pepperoni(&mut canvas, (MIDDLE.0 + ring * turn.cos(), MIDDLE.1 + ring * turn.sin()), turn);
        }
    }
    for (x, y, angle) in [(-40.0, 20.0, 0.6), (230.0, -120.0, 2.2), (-215.0, -150.0, 5.4), (90.0, 250.0, 3.9)] {
        basil(&mut canvas, (MIDDLE.0 + x, MIDDLE.1 + y), angle);
        basil(&mut canvas, (MIDDLE.0 + x + 42.0, MIDDLE.1 + y + 20.0), angle + 1.5);
    }
    for cut in 0..4_u8 {
        slice(&mut canvas, TAU * (f32::from(cut) + 0.35) / 8.0);
    }
    canvas.develop()
}

/// Paints dark planks.
fn table(x: f32, y: f32) -> Rgb {
    let plank = ((y + 700.0) / 210.0).floor();
    let seam = (y + 700.0) / 210.0 - plank;
    let grain = noise(x * 0.0035 + plank * 17.0, y * 0.055, 4);
    let wood = mix([0.055, 0.028, 0.014], [0.21, 0.115, 0.06], grain * 0.9 + 0.25 * noise(plank, 3.0, 1) - 0.1);
    lit(wood, 0.25 + 0.75 * step(0.0, 0.025, seam.min(1.0 - seam)))
}

fn plate(x: f32, y: f32) -> (Rgb, f32) {
    let from_middle = x.hypot(y);
    let rim = step(PLATE - 24.0, PLATE, from_middle) - step(PLATE - 60.0, PLATE - 40.0, from_middle) * 0.5;
    let clay = [0.74, 0.71, 0.66];
    (lit(clay, facing(x, y, 0.14 + 0.2 * rim) * 0.86), inside(from_middle - PLATE))
}

fn crust(x: f32, y: f32) -> (Rgb, f32) {
    let from_middle = x.hypot(y);
    let edge = CRUST + 30.0 * (noise(x * 0.009 + 9.0, y * 0.009, 2) - 0.5);
    let across = (from_middle - CHEESE) / (edge - CHEESE);
    let baked = noise(x * 0.018, y * 0.018, 4);
    let dough = mix([0.72, 0.43, 0.16], [0.42, 0.19, 0.05], baked * 1.2 - 0.2 + 0.4 * step(0.75, 1.0, across));
    let charred = mix(dough, [0.07, 0.035, 0.02], step(0.66, 0.8, noise(x * 0.026 + 40.0, y * 0.026, 3)) * 0.8);
    let bulge = facing(x, y, (across - 0.45) * 0.85) * (0.82 + 0.3 * noise(x * 0.07, y * 0.07, 2));
    (lit(charred, bulge), inside(from_middle - edge))
}

fn sauce(x: f32, y: f32) -> (Rgb, f32) {
    let edge = CHEESE + 16.0 + 34.0 * (noise(x * 0.016, y * 0.016 + 50.0, 3) - 0.5);
    let red = mix([0.5, 0.07, 0.02], [0.3, 0.03, 0.01], noise(x * 0.03, y * 0.03, 3));
    (red, step(6.0, -8.0, x.hypot(y) - edge))
}

fn cheese(x: f32, y: f32) -> (Rgb, f32) {
    let edge = CHEESE - 18.0 + 60.0 * (noise(x * 0.014 + 5.0, y * 0.014, 3) - 0.5);
    let melted = noise(x * 0.012 + 20.0, y * 0.012 + 8.0, 4);
    let cream = mix([0.88, 0.69, 0.33], [0.8, 0.47, 0.12], step(0.35, 0.75, melted));
    let browned = mix(cream, [0.45, 0.2, 0.05], step(0.62, 0.8, noise(x * 0.03 + 70.0, y * 0.03, 3)) * 0.75);
    // The light falls on what is higher towards the upper left.
    let relief = noise(x * 0.02, y * 0.02, 3) - noise(x * 0.02 + 0.12, y * 0.02 + 0.16, 3);
    let gaps = step(0.16, 0.3, noise(x * 0.011 + 31.0, y * 0.011 + 77.0, 3));
    (lit(browned, 0.96 + relief * 2.4), step(5.0, -7.0, x.hypot(y) - edge) * (0.25 + 0.75 * gaps))
}

fn pepperoni(canvas: &mut Canvas, middle: (f32, f32), salt: f32) {
    let radius = 55.0 + 8.0 * salt.sin();
    canvas.shade((middle.0 + 5.0, middle.1 + 7.0), radius, 9.0, 0.55);
    canvas.paint(middle, radius + 6.0, |x, y| {
        let from_middle = x.hypot(y);
        let edge = radius + 7.0 * (noise(x * 0.04 + salt, y * 0.04, 2) - 0.5);
        let fat = step(0.6, 0.78, noise(x * 0.11 + salt * 9.0, y * 0.11, 2));
        let meat = mix([0.44, 0.06, 0.03], [0.68, 0.3, 0.18], fat * 0.7);
        let crisp = mix(meat, [0.2, 0.02, 0.01], step(0.72, 1.0, from_middle / edge) * 0.8);
        let shine = step(26.0, 0.0, (x + radius * 0.35).hypot(y + radius * 0.4)) * 0.35;
        (
            mix(lit(crisp, facing(x, y, -0.25 * from_middle / edge)), [1.0, 0.75, 0.55], shine),
            inside(from_middle - edge),
        )
    });
}

fn basil(canvas: &mut Canvas, middle: (f32, f32), angle: f32) {
    canvas.paint((middle.0 + 6.0, middle.1 + 8.0), 66.0, |x, y| {
        let (along, across) = turned(x, y, angle);
        ([0.05, 0.02, 0.01], step(8.0, -6.0, leaf_edge(along, across)) * 0.5)
    });
    canvas.paint(middle, 60.0, |x, y| {
        let (along, across) = turned(x, y, angle);
        let veins = step(0.55, 1.0, ((along + across.abs() * 0.9) * 0.35).sin()) * 0.25;
        let green = mix([0.045, 0.17, 0.025], [0.13, 0.33, 0.06], noise(x * 0.05, y * 0.05, 2) + veins);
        let rib = step(2.2, 0.6, across.abs()) * 0.5;
        let fold = 1.0 + 0.28 * (across / 18.0).clamp(-1.0, 1.0);
        (lit(mix(green, [0.3, 0.46, 0.16], rib), fold), inside(leaf_edge(along, across)))
    });
}

fn leaf_edge(along: f32, across: f32) -> f32 {
    let share = (along / 56.0).clamp(-1.0, 1.0);
    let half_width = 27.0 * (1.0 - share * share) * (1.0 - 0.25 * share);
    if along.abs() > 56.0 { along.abs() - 56.0 + across.abs() } else { across.abs() - half_width }
}

fn slice(canvas: &mut Canvas, angle: f32) {
    canvas.paint(MIDDLE, CRUST + 10.0, |x, y| {
        let (along, across) = turned(x, y, angle);
        let wobble = 3.0 * (noise(along * 0.02, angle, 2) - 0.5);
        let reach = step(CRUST + 6.0, CRUST - 6.0, along.abs());
        ([0.16, 0.06, 0.02], step(3.4, 0.8, (across + wobble).abs()) * reach * 0.75)
    });
}
