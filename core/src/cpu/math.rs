//! Elementary functions in a form that compilers turn into SIMD.

/// `e^x` within 2 units in the last place over the whole range of f32;
/// saturates to 0 and infinity. Branch-free, so loops over it vectorise,
/// which the standard library's does not.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    // e^x = 2^k * e^r with r in [-ln2/2, ln2/2]; beyond these bounds the
    // result is 0 or infinity in f32 anyway.
    let x = x.clamp(-104.0, 89.0);
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let k = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
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
    // Two factors, because 2^k alone leaves the range at its ends.
    let k = k as i32;
    let half = k >> 1;
    y * power_of_two(half) * power_of_two(k - half)
}

#[inline]
fn power_of_two(k: i32) -> f32 {
    f32::from_bits(((k + 127) << 23).cast_unsigned())
}

/// `1 / (1 + e^-x)`.
#[inline]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Sum of squares in four lanes.
#[inline]
pub(super) fn sum_of_squares(values: &[f32]) -> f32 {
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
