//! Matrix products of weights in 4 bits and activations in 8.
//!
//! Where a processor has no dot product of bytes, 4 bits are worth more than
//! their size: two products of a byte and a number from 0 to 15 fit into 16
//! bits, and so do the sums of a whole group of weights that share a scale, so
//! that twice as many are multiplied and added at a time as with 8 bits (see
//! `relaxed/module.rs`). Weights are taken as they are stored, with their
//! scale a group, and not rounded again.

#[cfg(target_arch = "wasm32")]
mod relaxed;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::f16;

use super::int8::{Activations, Form};
use super::simd::simd;
use crate::gemm::{View, ViewMut};
use crate::weights::{Q4_GROUP, Tensor, Values, q4_groups, q4_row_bytes};

/// Words of four channels in a group.
const STEPS: usize = Q4_GROUP / 4;

/// A processor's way to multiply: a tile of `rows` by `columns` results at a
/// time. All of them give the same bits.
pub(super) struct Kernel {
    /// What it needs, for people.
    pub(super) name: &'static str,
    rows: usize,
    /// 8 or 16.
    columns: usize,
    /// Sums at a time: few enough to stay in a near cache until they are
    /// scaled, many enough for what a call costs.
    sums: usize,
    product: unsafe fn(&Job<'_>, &mut [f32]),
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Kernel {
    /// The one that this processor has, if it has one.
    pub(super) fn best() -> Option<&'static Self> {
        #[cfg(target_arch = "x86_64")]
        return x86::kernel();
        #[cfg(target_arch = "wasm32")]
        return relaxed::kernel();
        #[cfg(not(any(target_arch = "x86_64", target_arch = "wasm32")))]
        None
    }
}

/// A weight matrix `[rows, depth]` in the order in which a kernel reads it.
#[derive(Debug)]
pub(super) struct Packed {
    kernel: &'static Kernel,
    /// `[panels, groups, steps, columns, 4]`, from 0 to 15.
    values: Vec<u8>,
    /// `[panels, groups, columns]`, zero beyond the matrix.
    scales: Vec<f32>,
    rows: usize,
    depth: usize,
}

/// What a product needs besides, buffers that calls reuse.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// `[tiles, groups, tile rows]`: what the two 16-bit sums of a group begin
    /// with, because weights are stored 8 too large.
    starts: Vec<u32>,
    /// `[panels, tiles, tile rows, columns]` of some panels.
    sums: Vec<f32>,
}

impl Packed {
    /// Packs a matrix tensor in 4 bits; `None` of any other.
    pub(super) fn new(kernel: &'static Kernel, tensor: &Tensor) -> Option<Self> {
        let (&[rows, depth], Values::Q4 { values, scales }) =
            (tensor.shape.as_slice(), &tensor.values)
        else {
            return None;
        };
        let (groups, columns) = (q4_groups(depth), kernel.columns);
        let panels = rows.div_ceil(columns);
        let mut packed = Self {
            kernel,
            // Zeros beyond the matrix.
            values: vec![8; panels * groups * columns * Q4_GROUP],
            scales: vec![0.0; panels * groups * columns],
            rows,
            depth,
        };
        let stored = values.chunks_exact(q4_row_bytes(depth));
        for (row, (bytes, scales)) in stored.zip(scales.chunks_exact(groups)).enumerate() {
            let (panel, column) = (row / columns, row % columns);
            for (g, scale) in scales.iter().copied().map(f16::to_f32).enumerate() {
                packed.scales[(panel * groups + g) * columns + column] = scale;
            }
            for k in 0..depth {
                let step = panel * groups * STEPS + k / 4;
                let nibble = bytes[k / 2] >> (4 * (k % 2)) & 15;
                packed.values[(step * columns + column) * 4 + k % 4] = nibble;
            }
        }
        Some(packed)
    }

    /// What it is multiplied by, for people.
    pub(super) fn kernel_name(&self) -> &'static str {
        self.kernel.name
    }

    /// `c[m, rows] = beta · c + x[m, depth] · Wᵀ`, `beta` 0 or 1.
    pub(super) fn multiply(
        &self,
        m: usize,
        x: View<'_>,
        beta: f32,
        mut c: ViewMut<'_>,
        activations: &mut Activations,
        buffers: &mut Buffers,
    ) {
        if m == 0 {
            return;
        }
        let Kernel {
            rows,
            columns,
            sums,
            ..
        } = *self.kernel;
        let groups = q4_groups(self.depth);
        let form = Form {
            rows,
            step: 4,
            offset: 0,
        };
        activations.quantize(form, x, [m, self.depth], groups * STEPS);
        let (tiles, panels) = (m.div_ceil(rows), self.rows.div_ceil(columns));
        let words = &activations.words[..tiles * groups * STEPS * rows];
        buffers.starts.resize(tiles * groups * rows, 0);
        starts(words, rows, &mut buffers.starts);

        let tile = rows * columns;
        let together = (sums / (tiles * tile)).max(1);
        for first in (0..panels).step_by(together) {
            let panels = together.min(panels - first);
            let weights = groups * columns * Q4_GROUP;
            let job = Job {
                groups,
                tiles,
                panels,
                words,
                starts: &buffers.starts,
                weights: &self.values[first * weights..(first + panels) * weights],
                scales: &self.scales[first * groups * columns..][..panels * groups * columns],
            };
            buffers.sums.resize(panels * tiles * tile, 0.0);
            // SAFETY: a kernel is only listed where the processor has what it
            // needs, and the lengths are those that it relies on.
            unsafe { (self.kernel.product)(&job, &mut buffers.sums) };
            for (panel, sums) in buffers.sums.chunks_exact(tiles * tile).enumerate() {
                let column = (first + panel) * columns;
                let columns = [columns, column, columns.min(self.rows - column)];
                let scales = &activations.scales[..m];
                scale(sums, scales, columns, beta != 0.0, &mut c);
            }
        }
    }
}

simd! {
    /// Minus eight times the sums of a group's activations, those of even and
    /// of odd pairs apart, of `[tiles, groups, steps, rows]` words.
    fn starts(words: &[u32], rows: usize, starts: &mut [u32]) {
        let groups = words.chunks_exact(STEPS * rows);
        for (starts, words) in starts.chunks_exact_mut(rows).zip(groups) {
            for (row, start) in starts.iter_mut().enumerate() {
                let (mut even, mut odd) = (0i16, 0i16);
                for word in words[row..].iter().step_by(rows) {
                    let bytes = word.to_le_bytes().map(|b| i16::from(b.cast_signed()));
                    even -= 8 * (bytes[0] + bytes[1]);
                    odd -= 8 * (bytes[2] + bytes[3]);
                }
                let halves = [even, odd].map(|half| u32::from(half.cast_unsigned()));
                *start = halves[0] | halves[1] << 16;
            }
        }
    }
}

simd! {
    /// Scales a panel's sums by what activations are worth and stores them.
    /// Columns: how many a panel has, which of the result is its first, and
    /// how many the result has from there on.
    fn scale(
        sums: &[f32],
        row_scales: &[f32],
        columns: [usize; 3],
        add: bool,
        c: &mut ViewMut<'_>,
    ) {
        // Of lengths that the compiler knows: no loop is left of them then.
        if columns[0] == 8 {
            scale_panel::<8>(sums, row_scales, columns, add, c);
        } else {
            scale_panel::<16>(sums, row_scales, columns, add, c);
        }
    }
}

#[inline(always)]
fn scale_panel<const COLUMNS: usize>(
    sums: &[f32],
    row_scales: &[f32],
    [_, column, width]: [usize; 3],
    add: bool,
    c: &mut ViewMut<'_>,
) {
    let (rows, _) = sums.as_chunks::<COLUMNS>();
    for (row, (sums, factor)) in rows.iter().zip(row_scales).enumerate() {
        let values = sums.map(|sum| sum * factor);
        if width == COLUMNS {
            c.put([row, column], &values, add);
        } else {
            c.put([row, column], &values[..width], add);
        }
    }
}

/// Some panels of a product, for a kernel.
struct Job<'a> {
    groups: usize,
    tiles: usize,
    panels: usize,
    /// `[tiles, groups, steps, tile rows]`, each four channels of one row.
    words: &'a [u32],
    /// `[tiles, groups, tile rows]`, each for even and odd pairs of channels.
    starts: &'a [u32],
    /// `[panels, groups, steps, columns, 4]`.
    weights: &'a [u8],
    /// `[panels, groups, columns]`.
    scales: &'a [f32],
}
