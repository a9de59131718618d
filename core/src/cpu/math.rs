//! Elementary functions in a form that compilers turn into SIMD.

/// `e^x` within 2 units in the last place over the whole range of f32;
/// saturates to 0 and infinity. Branch-free, so loops over it vectorise,
/// which the standard library's does not.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Beyond these bounds the result is 0 or infinity in f32 anyway.
    let (y, k) = exp_parts(between(-104.0, x, 89.0));
    // Two factors, because 2^k alone leaves the range at its ends. Wrapping,
    // because a check for overflow would keep this from being vectorised.
    let half = k >> 1;
    y * power_of_two(half) * power_of_two(k.wrapping_sub(half))
}

/// `(e^r, k)` with `e^x = 2^k · e^r` and r in [-ln2/2, ln2/2].
#[inline(always)]
fn exp_parts(x: f32) -> (f32, i32) {
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
    // Minimax polynomial of degree 6 on the reduced range, in pairs: a chain
    // of its six steps would keep a processor waiting.
    let square = r * r;
    let low = 5.000_000_3e-1 + 1.666_666_5e-1 * r;
    let middle = 4.166_573_6e-2 + 8.333_683e-3 * r;
    let high = 1.398_287_7e-3 + 1.988_536_6e-4 * r;
    let p = low + (middle + high * square) * square;
    (p * square + r + 1.0, integer)
}

#[inline(always)]
fn power_of_two(k: i32) -> f32 {
    f32::from_bits((k.wrapping_add(127) << 23).cast_unsigned())
}

/// By comparisons, because `clamp` minds NaN, which costs it its instruction.
#[inline(always)]
fn between(low: f32, x: f32, high: f32) -> f32 {
    let x = if x < high { x } else { high };
    if x > low { x } else { low }
}

/// `1 / (1 + e^-x)`; beyond ±87 as there.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    // In these bounds one factor 2^k will do.
    let (y, k) = exp_parts(-between(-87.0, x, 87.0));
    1.0 / (1.0 + y * power_of_two(k))
}

/// Sum of squares in lanes: enough of them that no addition waits for another.
#[inline(always)]
pub(crate) fn sum_of_squares(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += v * v;
        }
    }
    folded(lanes, |a, b| a + b) + rest
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
    folded(lanes, |a, b| a + b) + rest
}

/// The largest value, in lanes.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = values.chunks_exact(16);
    let rest = chunks.remainder();
    // `max` of floats minds NaN, which costs it its instruction.
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    for chunk in chunks.chain([rest]) {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, v);
        }
    }
    folded(lanes, larger)
}

/// Lanes in one, halves onto halves.
#[inline(always)]
pub(super) fn folded<const N: usize>(mut lanes: [f32; N], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
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
        assert!((0.0..1e-37).contains(&sigmoid(-1000.0)));
        for (x, y) in [(1000.0, 1.0), (0.0, 0.5)] {
            assert!((sigmoid(x) - y).abs() < 2e-7, "{}", sigmoid(x));
        }
    }

    #[test]
    fn sigmoid_matches_the_standard_library() {
        let mut worst = 0.0f64;
        for i in -8_600..8_600 {
            let x = i as f32 * 0.01 + 0.003;
            let want = 1.0 / (1.0 + (-f64::from(x)).exp());
            worst = worst.max((f64::from(sigmoid(x)) / want - 1.0).abs());
        }
        assert!(worst < 4e-7, "relative error {worst}");
    }
}
