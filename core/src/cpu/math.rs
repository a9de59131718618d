//! Elementary functions in a form that compilers turn into SIMD.

/// `e^x` within 2 units in the last place over the whole range of f32;
/// saturates to 0 and infinity. Branch-free, so loops over it vectorise,
/// which the standard library's does not.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // e^x = 2^k * e^r with r in [-ln2/2, ln2/2]; beyond these bounds the
    // result is 0 or infinity in f32 anyway. Comparisons, because `clamp`
    // minds NaN.
    let x = if x < 89.0 { x } else { 89.0 };
    let x = if x > -104.0 { x } else { -104.0 };
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the
    // low bits; a cast would saturate, at a price.
    const ROUND: f32 = 12_582_912.0;
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let integer = rounded
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .cast_signed();
    let k = rounded - ROUND;
    // ln2 in two parts, the first exact in few bits (Cody and Waite).
    let r = (x - k * 0.693_359_4) - k * -2.121_944_4e-4;
    // Minimax polynomial of degree 6 on the reduced range.
    let p = 1.988_536_6e-4_f32;
    let p = p * r + 1.398_287_7e-3;
    let p = p * r + 8.333_683e-3;
    let p = p * r + 4.166_573_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5.000_000_3e-1;
    let y = p * r * r + r + 1.0;
    // Two factors, because 2^k alone leaves the range at its ends. Wrapping,
    // because a check for overflow would keep this from being vectorised.
    let half = integer >> 1;
    y * power_of_two(half) * power_of_two(integer.wrapping_sub(half))
}

#[inline(always)]
fn power_of_two(k: i32) -> f32 {
    f32::from_bits((k.wrapping_add(127) << 23).cast_unsigned())
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Sum of squares in four lanes.
#[inline(always)]
pub(crate) fn sum_of_squares(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let chunks = values.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += v * v;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The sum, in lanes.
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += v;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The largest value, in lanes.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = values.chunks_exact(16);
    let rest = chunks.remainder().iter();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            // `max` of floats minds NaN, which costs it its instruction.
            *lane = if v > *lane { v } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |m, &v| m.max(v))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_matches_the_standard_library() {
        let mut worst = 0.0f64;
        for i in -8_700..8_800 {
            let x = i as f32 * 0.01 + 0.003;
            let want = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / want - 1.0).abs());
        }
        assert!(worst < 3e-7, "relative error {worst}");
        assert_eq!(exp(-1000.0), 0.0);
        assert_eq!(exp(1000.0), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn sigmoid_saturates_cleanly() {
        assert_eq!(sigmoid(-1000.0), 0.0);
        assert_eq!(sigmoid(1000.0), 1.0);
        assert_eq!(sigmoid(0.0), 0.5);
    }
}
