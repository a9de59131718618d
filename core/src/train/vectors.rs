//! Passes over the values of a tensor on the host.

use super::threads::divided;
use crate::cpu::simd::simd;

/// `sum += term`.
pub(super) fn add(sum: &mut [f32], term: &mut [f32], threads: usize) {
    divided([sum, term], threads, |[sum, term]| add_part(sum, term));
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

simd! {
/// `values *= factor`.
pub(super) fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
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
