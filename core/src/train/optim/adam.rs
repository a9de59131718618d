//! Adam without (AdamATan2) and with (AdamW) an epsilon, in one pass over a
//! tensor's values.

use super::AdamSettings;
use crate::cpu::simd::simd;
use crate::train::threads::divided;

/// The factors of an Adam step, the same for every element.
#[derive(Clone, Copy)]
struct Factors {
    beta1: f32,
    beta2: f32,
    /// `1 - lr * decay`.
    shrink: f32,
    /// `lr / (1 - beta1^t)`.
    rate: f32,
    /// `1 / sqrt(1 - beta2^t)`.
    root: f32,
}

/// A step of AdamATan2, or of AdamW with `quotient`, on the vectors of one
/// tensor: `[p, g, m, v]`.
pub(crate) fn step(
    s: &AdamSettings,
    lr: f64,
    step: u64,
    vectors: [&mut [f32]; 4],
    quotient: bool,
    threads: usize,
) {
    let t = step as f64;
    let factors = Factors {
        beta1: s.beta1 as f32,
        beta2: s.beta2 as f32,
        shrink: (1.0 - lr * s.weight_decay) as f32,
        rate: (lr / (1.0 - s.beta1.powf(t))) as f32,
        root: (1.0 / (1.0 - s.beta2.powf(t)).sqrt()) as f32,
    };
    divided(vectors, threads, |[p, g, m, v]| {
        if quotient {
            adamw(p, g, m, v, factors);
        } else {
            adam_atan2(p, g, m, v, factors);
        }
    });
}

simd! {
fn adam_atan2(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: Factors) {
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        *m = *m * f.beta1 + g * (1.0 - f.beta1);
        *v = *v * f.beta2 + g * g * (1.0 - f.beta2);
        *p = *p * f.shrink - atan2(*m, v.sqrt() * f.root) * f.rate;
    }
}
}

simd! {
fn adamw(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: Factors) {
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        *m = *m * f.beta1 + g * (1.0 - f.beta1);
        *v = *v * f.beta2 + g * g * (1.0 - f.beta2);
        *p = *p * f.shrink - *m / (v.sqrt() * f.root + 1e-8) * f.rate;
    }
}
}

/// `atan2(y, x)` for `x >= 0` within 3e-7; 0 at the origin. Branch-free, so
/// that loops over it vectorise.
#[inline(always)]
fn atan2(y: f32, x: f32) -> f32 {
    let a = y.abs();
    let (small, large) = (a.min(x), a.max(x));
    // Far from both axes' ends nothing can be 0 but both.
    let t = if large > 0.0 { small / large } else { 0.0 };
    // atan on [0, 1] through [0, tan(pi/8)] (Cephes).
    let far = t > 0.414_213_56;
    let z = if far { (t - 1.0) / (t + 1.0) } else { t };
    let z2 = z * z;
    let p = 8.053_744_5e-2_f32;
    let p = p * z2 - 1.387_768_6e-1;
    let p = p * z2 + 1.997_771_1e-1;
    let p = p * z2 - 3.333_295e-1;
    let angle = p * z2 * z
        + z
        + if far {
            std::f32::consts::FRAC_PI_4
        } else {
            0.0
        };
    let angle = if a > x {
        std::f32::consts::FRAC_PI_2 - angle
    } else {
        angle
    };
    angle.copysign(y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atan2_agrees_with_the_standard_library() {
        for i in -300..=300 {
            for exponent in [-30, -8, -3, -1, 0, 2, 9] {
                let (y, x) = (i as f32 * 0.01, 1.7 * 2f32.powi(exponent));
                assert!((atan2(y, x) - y.atan2(x)).abs() < 4e-7, "{y} {x}");
            }
            assert_eq!(atan2(0.0, 0.0), 0.0);
        }
        assert!((atan2(-3.0, 0.0) + std::f32::consts::FRAC_PI_2).abs() < 1e-7);
        assert!(atan2(1e-20, 1e-20) > 0.78);
    }
}
