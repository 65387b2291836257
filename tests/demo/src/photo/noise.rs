//! Smooth noise that makes wood, crust and crema uneven. It is the same every time.

/// Returns noise from 0 to 1 whose features are about 1 apart; `octaves` adds finer ones.
pub(super) fn noise(x: f32, y: f32, octaves: u8) -> f32 {
    let (mut sum, mut weights, mut weight, mut scale) = (0.0, 0.0, 1.0, 1.0);
    for octave in 0..octaves {
        sum += weight * smooth(x * scale, y * scale, u32::from(octave));
        weights += weight;
        weight *= 0.5;
        scale *= 2.1;
    }
    sum / weights
}

/// Returns a number from 0 to 1 for a pair of whole numbers.
pub(super) fn scatter(x: i32, y: i32, salt: u32) -> f32 {
    let mut bits = x.cast_unsigned().wrapping_mul(0x9e37_79b1) ^ y.cast_unsigned().wrapping_mul(0x85eb_ca77);
    bits = (bits ^ salt.wrapping_mul(0xc2b2_ae3d)).wrapping_mul(0x27d4_eb2f);
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0x2c1b_3c6d);
    bits ^= bits >> 13;
    let high = u16::try_from(bits >> 16).unwrap_or_default();
    f32::from(high) / f32::from(u16::MAX)
}

fn smooth(x: f32, y: f32, salt: u32) -> f32 {
    let (left, top) = (whole(x), whole(y));
    let (right_share, bottom_share) = (ease(x - x.floor()), ease(y - y.floor()));
    let upper = between(scatter(left, top, salt), scatter(left + 1, top, salt), right_share);
    let lower = between(scatter(left, top + 1, salt), scatter(left + 1, top + 1, salt), right_share);
    between(upper, lower, bottom_share)
}

fn between(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

fn ease(share: f32) -> f32 {
    share * share * (3.0 - 2.0 * share)
}

fn whole(number: f32) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "a few thousand at most")]
    let whole = number.floor() as i32;
    whole
}
