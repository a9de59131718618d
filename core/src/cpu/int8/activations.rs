//! Activations in 8 bits, each row with a scale of its own.

use super::Kernel;
use crate::cpu::gemm::View;
use crate::cpu::math::folded;
use crate::cpu::simd::simd;

/// Where words of activations stand: that of tile `t`, its row `r`, step `s` at
/// `t * tile + r * row + s * step`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Strides {
    pub(super) tile: usize,
    pub(super) row: usize,
    pub(super) step: usize,
}

/// Quantized activations, a buffer that calls reuse.
#[derive(Debug, Default)]
pub(in crate::cpu) struct Activations {
    /// `step` channels of a row each.
    pub(super) words: Vec<u32>,
    pub(super) strides: Strides,
    /// What a row's integers are multiplied with.
    pub(super) scales: Vec<f32>,
    /// What rows are multiplied with, where they lie beside each other.
    inverses: Vec<f32>,
    /// Words of a row, or of a step, that have yet to be interleaved.
    line: Vec<u32>,
}

impl Activations {
    /// Words of `m` rows, with room for whole tiles. What stands in unused rows
    /// and beyond the last channel does not matter: nobody reads the results
    /// of the former, and the latter's weights are zero.
    pub(super) fn quantize(&mut self, kernel: &Kernel, x: View<'_>, m: usize, depth: usize) {
        let (steps, tile) = (depth.div_ceil(kernel.step), kernel.rows);
        let padded = m.next_multiple_of(tile);
        self.words.resize(padded * steps, 0);
        self.scales.clear();
        let lying = if x.col == 1 { [steps, 1] } else { [1, padded] };
        let [row, step] = if kernel.interleaved { [1, tile] } else { lying };
        self.strides = Strides {
            tile: tile * if kernel.interleaved { steps } else { row },
            row,
            step,
        };
        if x.col == 1 {
            self.rows(kernel, x, m, depth);
        } else {
            assert_eq!(x.row, 1, "int8 product: rows or columns of x lie together");
            self.columns(kernel, x, m, depth);
        }
    }

    /// Of rows that lie one after the other.
    fn rows(&mut self, kernel: &Kernel, x: View<'_>, m: usize, depth: usize) {
        let steps = depth.div_ceil(kernel.step);
        self.line.resize(steps, 0);
        for r in 0..m {
            let row = &x.data[r * x.row..r * x.row + depth];
            let mut largest = 0.0;
            extreme(row, &mut largest);
            self.scales.push(largest / 127.0);
            let words = if kernel.interleaved {
                &mut self.line[..]
            } else {
                &mut self.words[r * steps..(r + 1) * steps]
            };
            if kernel.step == 4 {
                let bytes = bytemuck::cast_slice_mut(words);
                to_bytes(row, inverse(largest), kernel.offset, bytes);
            } else {
                to_pairs(row, inverse(largest), bytemuck::cast_slice_mut(words));
            }
            if kernel.interleaved {
                let (tile, r) = (r / kernel.rows, r % kernel.rows);
                let to = &mut self.words[tile * steps * kernel.rows..];
                for (to, &word) in to.chunks_exact_mut(kernel.rows).zip(&self.line) {
                    to[r] = word;
                }
            }
        }
    }

    /// Of rows that lie beside each other.
    fn columns(&mut self, kernel: &Kernel, x: View<'_>, m: usize, depth: usize) {
        let steps = depth.div_ceil(kernel.step);
        let padded = m.next_multiple_of(kernel.rows);
        self.scales.resize(m, 0.0);
        extremes(x.data, x.col, depth, &mut self.scales);
        self.inverses.clear();
        self.inverses
            .extend(self.scales.iter().map(|&v| inverse(v)));
        for largest in &mut self.scales {
            *largest /= 127.0;
        }
        self.line.resize(padded, 0);
        for s in 0..steps {
            let channel = |i: usize| {
                let k = (s * kernel.step + i).min(depth - 1);
                &x.data[k * x.col..k * x.col + m]
            };
            let words = if kernel.interleaved {
                &mut self.line[..]
            } else {
                &mut self.words[s * padded..(s + 1) * padded]
            };
            if kernel.step == 4 {
                let four = [0, 1, 2, 3].map(channel);
                to_words(four, &self.inverses, kernel.offset, words);
            } else {
                to_word_pairs([0, 1].map(channel), &self.inverses, words);
            }
            if kernel.interleaved {
                let to = self.words.chunks_exact_mut(kernel.rows);
                let to = to.skip(s).step_by(steps);
                for (to, from) in to.zip(self.line.chunks_exact(kernel.rows)) {
                    for (to, &from) in to.iter_mut().zip(from) {
                        *to = from;
                    }
                }
            }
        }
    }
}

/// What makes 127 of the largest.
fn inverse(largest: f32) -> f32 {
    if largest > 0.0 { 127.0 / largest } else { 0.0 }
}

simd! {
    /// The largest absolute value.
    fn extreme(row: &[f32], result: &mut f32) {
        // Enough of them that no comparison waits for another.
        let mut lanes = [0.0f32; 16];
        let chunks = row.chunks_exact(16);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, v) in lanes.iter_mut().zip(chunk) {
                *lane = larger(*lane, *v);
            }
        }
        for (lane, v) in lanes.iter_mut().zip(rest) {
            *lane = larger(*lane, *v);
        }
        *result = folded(lanes, larger);
    }
}

simd! {
    /// The largest absolute value of each of the rows that lie beside each
    /// other.
    fn extremes(x: &[f32], stride: usize, depth: usize, largest: &mut [f32]) {
        largest.fill(0.0);
        for k in 0..depth {
            for (largest, &v) in largest.iter_mut().zip(&x[k * stride..]) {
                *largest = larger(*largest, v);
            }
        }
    }
}

/// The larger absolute value, the first of which is one already.
#[inline(always)]
fn larger(largest: f32, v: f32) -> f32 {
    // `max` of floats minds NaN, which costs it its instruction.
    if v.abs() > largest { v.abs() } else { largest }
}

/// The nearest integer to a small number, in the low bits.
#[inline(always)]
fn nearest(v: f32) -> u32 {
    // Adding this rounds and leaves the integer there.
    const ROUND: f32 = 12_582_912.0;
    (v + ROUND).to_bits()
}

simd! {
    /// Integers with an offset.
    fn to_bytes(row: &[f32], inverse: f32, offset: u8, bytes: &mut [u8]) {
        for (b, &v) in bytes.iter_mut().zip(row) {
            *b = (nearest(v * inverse) as u8).wrapping_add(offset);
        }
    }
}

simd! {
    /// Integers of 16 bits.
    fn to_pairs(row: &[f32], inverse: f32, pairs: &mut [i16]) {
        for (p, &v) in pairs.iter_mut().zip(row) {
            *p = nearest(v * inverse) as i16;
        }
    }
}

simd! {
    /// The same as `to_bytes` of rows that lie beside each other: four
    /// channels, a word a row.
    fn to_words(four: [&[f32]; 4], inverses: &[f32], offset: u8, words: &mut [u32]) {
        let m = inverses.len();
        let [a, b, c, d] = four.map(|channel| &channel[..m]);
        let words = &mut words[..m];
        for r in 0..m {
            let byte = |v: f32| nearest(v * inverses[r]).wrapping_add(u32::from(offset)) & 0xff;
            words[r] = byte(a[r]) | byte(b[r]) << 8 | byte(c[r]) << 16 | byte(d[r]) << 24;
        }
    }
}

simd! {
    /// The same as `to_pairs` of rows that lie beside each other.
    fn to_word_pairs(two: [&[f32]; 2], inverses: &[f32], words: &mut [u32]) {
        let m = inverses.len();
        let [a, b] = two.map(|channel| &channel[..m]);
        let words = &mut words[..m];
        for r in 0..m {
            let half = |v: f32| nearest(v * inverses[r]) & 0xffff;
            words[r] = half(a[r]) | half(b[r]) << 16;
        }
    }
}
