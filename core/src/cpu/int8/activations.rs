//! Activations in integers, in the order in which a kernel reads them.

use super::super::simd::simd;
use crate::gemm::View;

/// How a kernel reads activations.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Form {
    /// Rows of a tile.
    pub(in super::super) rows: usize,
    /// Channels of a row in a 32-bit word. 4: they are bytes; 2: 16-bit
    /// integers.
    pub(in super::super) step: usize,
    /// What is added to them, to make bytes unsigned where they have to be.
    pub(in super::super) offset: u8,
}

/// Quantized activations, a buffer that calls reuse.
#[derive(Debug, Default)]
pub(in super::super) struct Activations {
    /// `[tiles, steps, tile rows]`, each `step` channels of one row.
    pub(in super::super) words: Vec<u32>,
    /// What a step of each row is worth.
    pub(in super::super) scales: Vec<f32>,
    gathered: Vec<f32>,
    bytes: Vec<u8>,
    pairs: Vec<i16>,
}

impl Activations {
    /// Quantizes `x`, `[m, depth]`, into `steps` words a row, at least as many
    /// as hold it. Stale words stand in unused rows, whose results nobody
    /// reads, and beyond the last channel, where weights are zero.
    pub(in super::super) fn quantize(
        &mut self,
        form: Form,
        x: View<'_>,
        [m, depth]: [usize; 2],
        steps: usize,
    ) {
        let Form { rows, step, offset } = form;
        self.words.resize(m.div_ceil(rows) * steps * rows, 0);
        self.bytes.resize(steps * 4, 0);
        self.pairs.resize(steps * 2, 0);
        self.scales.clear();
        for r in 0..m {
            let row = if x.col == 1 {
                &x.data[r * x.row..r * x.row + depth]
            } else {
                self.gathered.clear();
                self.gathered
                    .extend((0..depth).map(|k| x.data[r * x.row + k * x.col]));
                &self.gathered
            };
            let mut largest = 0.0;
            extreme(row, &mut largest);
            self.scales.push(largest / 127.0);
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            let to = self.words[r / rows * steps * rows + r % rows..]
                .iter_mut()
                .step_by(rows);
            if step == 4 {
                to_bytes(row, inverse, offset, &mut self.bytes);
                for (to, b) in to.zip(self.bytes.chunks_exact(4)) {
                    *to = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            } else {
                to_pairs(row, inverse, &mut self.pairs);
                for (to, p) in to.zip(self.pairs.chunks_exact(2)) {
                    *to = u32::from(p[0].cast_unsigned()) | u32::from(p[1].cast_unsigned()) << 16;
                }
            }
        }
    }
}

simd! {
    /// The largest absolute value.
    fn extreme(row: &[f32], result: &mut f32) {
        let mut lanes = [0.0f32; 16];
        let chunks = row.chunks_exact(16);
        let rest = chunks.remainder().iter();
        for chunk in chunks {
            for (lane, v) in lanes.iter_mut().zip(chunk) {
                // `max` of floats minds NaN, which costs it its instruction.
                *lane = if v.abs() > *lane { v.abs() } else { *lane };
            }
        }
        *result = lanes.iter().chain(rest).fold(0.0, |m, v| m.max(v.abs()));
    }
}

/// Adding this rounds a small number and leaves the integer in the low bits.
const ROUND: f32 = 12_582_912.0;

simd! {
    /// Integers with an offset.
    fn to_bytes(row: &[f32], inverse: f32, offset: u8, bytes: &mut [u8]) {
        for (b, &v) in bytes.iter_mut().zip(row) {
            *b = ((v * inverse + ROUND).to_bits() as u8).wrapping_add(offset);
        }
    }
}

simd! {
    /// Integers of 16 bits.
    fn to_pairs(row: &[f32], inverse: f32, pairs: &mut [i16]) {
        for (p, &v) in pairs.iter_mut().zip(row) {
            *p = (v * inverse + ROUND).to_bits() as i16;
        }
    }
}
