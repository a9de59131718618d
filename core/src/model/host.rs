//! A step's vector arithmetic on a processor: values move out of the tensors
//! and back without a copy, and every pass over them does all there is to do.

use burn::tensor::{Device, Tensor};

use super::ModelError;
use super::optim::AdamSettings;
use super::parameters::{Parameters, read, upload};
use crate::cpu::simd::simd;
use crate::plan::Plan;

/// Elements below which another thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 16;

/// Takes the values out of a tensor, leaving an empty one. A copy only where
/// something else holds the tensor too.
pub(super) fn lend(tensor: &mut Tensor<2>, device: &Device) -> Result<Vec<f32>, ModelError> {
    let empty = Tensor::zeros([1, 1], device);
    read(std::mem::replace(tensor, empty), "a tensor of the trainer")
}

/// Lends the values of four tensors.
pub(super) fn lend_four(
    tensors: &mut [&mut Tensor<2>; 4],
    device: &Device,
) -> Result<[Vec<f32>; 4], ModelError> {
    let [a, b, c, d] = tensors;
    Ok([
        lend(a, device)?,
        lend(b, device)?,
        lend(c, device)?,
        lend(d, device)?,
    ])
}

/// Lends every tensor's values, in the plan's order.
pub(super) fn lend_all(
    parameters: &mut Parameters,
    device: &Device,
) -> Result<Vec<Vec<f32>>, ModelError> {
    let tensors = parameters.tensors_mut().iter_mut();
    tensors.map(|tensor| lend(tensor, device)).collect()
}

/// Puts back what [`lend_all`] took.
pub(super) fn give_back(
    plan: &Plan,
    parameters: &mut Parameters,
    values: Vec<Vec<f32>>,
    device: &Device,
) {
    let tensors = parameters.tensors_mut().iter_mut();
    for ((tensor, values), spec) in tensors.zip(values).zip(&plan.tensors) {
        let shape = super::parameters::matrix_shape(&spec.shape);
        *tensor = upload(values, shape, device);
    }
}

/// Runs `work` on parts of some vectors of one length, on up to `threads`
/// threads; the parts' results in order.
fn divided<const N: usize, T: Send>(
    vectors: [&mut [f32]; N],
    threads: usize,
    work: impl Fn([&mut [f32]; N]) -> T + Sync,
) -> Vec<T> {
    let n = vectors.first().map_or(0, |v| v.len());
    let parts = threads.min(n / WORTH_A_THREAD).max(1);
    if parts == 1 {
        return vec![work(vectors)];
    }
    let mut rest = vectors;
    std::thread::scope(|scope| {
        let work = &work;
        let mut running = Vec::with_capacity(parts);
        for part in 0..parts {
            let size = n * (part + 1) / parts - n * part / parts;
            let own = rest.each_mut().map(|vector| {
                let (own, others) = std::mem::take(vector).split_at_mut(size);
                *vector = others;
                own
            });
            running.push(scope.spawn(move || work(own)));
        }
        let joined = running.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|error| std::panic::resume_unwind(error))
        });
        joined.collect()
    })
}

/// `sum += term`; returns the sum of squares of the new values.
pub(super) fn add(sum: &mut [f32], term: &mut [f32], threads: usize) -> f64 {
    divided([sum, term], threads, |[sum, term]| {
        add_part(sum, term);
        squares(sum)
    })
    .into_iter()
    .sum()
}

simd! {
fn add_part(sum: &mut [f32], term: &[f32]) {
    for (sum, term) in sum.iter_mut().zip(term) {
        *sum += term;
    }
}
}

simd! {
/// Sum of squares, in f32 over short stretches, in f64 beyond.
pub(super) fn squares(values: &[f32]) -> f64 {
    values
        .chunks(1024)
        .map(|chunk| f64::from(crate::cpu::math::sum_of_squares(chunk)))
        .sum()
}
}

/// `mean = keep * mean + (1 - keep) * value`.
pub(super) fn average(mean: &mut [f32], value: &mut [f32], keep: f64, threads: usize) {
    divided([mean, value], threads, |[mean, value]| {
        average_part(mean, value, keep as f32, (1.0 - keep) as f32);
    });
}

simd! {
fn average_part(mean: &mut [f32], value: &[f32], keep: f32, rest: f32) {
    for (mean, value) in mean.iter_mut().zip(value) {
        *mean = *mean * keep + value * rest;
    }
}
}

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
pub(super) fn adam_step(
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
            adamw_part(p, g, m, v, factors);
        } else {
            atan2_part(p, g, m, v, factors);
        }
    });
}

simd! {
fn atan2_part(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: Factors) {
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        *m = *m * f.beta1 + g * (1.0 - f.beta1);
        *v = *v * f.beta2 + g * g * (1.0 - f.beta2);
        *p = *p * f.shrink - atan2(*m, v.sqrt() * f.root) * f.rate;
    }
}
}

simd! {
fn adamw_part(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: Factors) {
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

    #[test]
    fn parts_on_several_threads_are_the_whole() {
        let n = 3 * WORTH_A_THREAD + 17;
        let values = |k: usize| {
            (0..n)
                .map(|i| ((i * k) % 97) as f32 - 48.0)
                .collect::<Vec<_>>()
        };
        let (mut a, mut b) = (values(3), values(5));
        let sum = add(&mut a, &mut b, 3);
        let expected: Vec<f32> = values(3)
            .iter()
            .zip(values(5))
            .map(|(a, b)| a + b)
            .collect();
        assert_eq!(a, expected);
        let square: f64 = expected.iter().map(|x| f64::from(*x).powi(2)).sum();
        assert!((sum / square - 1.0).abs() < 1e-6);
    }
}
