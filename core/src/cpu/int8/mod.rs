//! Matrix products in 8-bit integers.
//!
//! Weights have one scale a row, activations one a row that is found as they
//! come; products are summed exactly in 32 bits and scaled at the end. What
//! the processor multiplies best decides the form of both: bytes four at a
//! time where it has a dot product of bytes (x86 VNNI, WebAssembly's relaxed
//! SIMD), otherwise 16-bit pairs (AVX2, WebAssembly, anything).

mod portable;
#[cfg(target_arch = "wasm32")]
mod relaxed;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::gemm::{View, ViewMut};
use super::simd::simd;
use crate::weights::{Tensor, Values, int8_rows};

/// A processor's way to multiply: a tile of `rows` by `columns` results at a
/// time, `step` channels of each in one instruction's lane.
pub(super) struct Kernel {
    /// What it needs, for people.
    pub(super) name: &'static str,
    rows: usize,
    columns: usize,
    /// 4: activations are bytes; 2: they are 16-bit integers.
    step: usize,
    /// What is added to activations, to make bytes unsigned where they have
    /// to be.
    offset: u8,
    product: unsafe fn(&Job<'_>, &mut ViewMut<'_>),
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Kernel {
    /// Those that this processor has, the fastest first.
    pub(super) fn available() -> Vec<&'static Self> {
        let mut kernels: Vec<&'static Self> = Vec::new();
        #[cfg(target_arch = "x86_64")]
        kernels.extend(x86::available());
        #[cfg(target_arch = "wasm32")]
        kernels.extend(relaxed::kernel().into_iter().chain([&wasm::KERNEL]));
        kernels.push(&portable::KERNEL);
        kernels
    }

    /// The fastest that this processor has.
    pub(super) fn best() -> &'static Self {
        Self::available()
            .first()
            .copied()
            .unwrap_or(&portable::KERNEL)
    }
}

/// A weight matrix `[rows, depth]` in the order in which a kernel reads it.
#[derive(Debug)]
pub(super) struct Packed {
    kernel: &'static Kernel,
    /// `[panels, steps, columns, step]`, zero beyond the matrix.
    values: Vec<i8>,
    /// `[panels · columns]`.
    scales: Vec<f32>,
    /// What a column's sum of products has too much because of the offset.
    excess: Vec<i32>,
    rows: usize,
    depth: usize,
}

impl Packed {
    /// Packs a matrix tensor, quantizing it first unless it is in 8 bits.
    pub(super) fn new(kernel: &'static Kernel, tensor: &Tensor) -> Self {
        let rows = tensor.shape.first().copied().unwrap_or(1);
        let depth: usize = tensor.shape.iter().skip(1).product();
        let quantized;
        let (ints, row_scales) = match &tensor.values {
            Values::Q8 { values, scales } => (values, scales),
            _ => {
                quantized = int8_rows(&tensor.dense(), rows);
                (&quantized.0, &quantized.1)
            }
        };
        let (columns, step) = (kernel.columns, kernel.step);
        let (panels, steps) = (rows.div_ceil(columns), depth.div_ceil(step));
        let mut values = vec![0i8; panels * steps * columns * step];
        let mut scales = vec![0.0; panels * columns];
        let mut excess = vec![0; panels * columns];
        for row in 0..rows {
            let source = &ints[row * depth..(row + 1) * depth];
            let (panel, column) = (row / columns, row % columns);
            for (k, &v) in source.iter().enumerate() {
                let at = ((panel * steps + k / step) * columns + column) * step + k % step;
                values[at] = v;
            }
            scales[row] = row_scales[row];
            excess[row] =
                i32::from(kernel.offset) * source.iter().map(|&v| i32::from(v)).sum::<i32>();
        }
        Self {
            kernel,
            values,
            scales,
            excess,
            rows,
            depth,
        }
    }

    /// `c[m, rows] = beta · c + x[m, depth] · Wᵀ`, `beta` 0 or 1.
    pub(super) fn multiply(
        &self,
        m: usize,
        x: View<'_>,
        beta: f32,
        mut c: ViewMut<'_>,
        activations: &mut Activations,
    ) {
        if m == 0 {
            return;
        }
        activations.quantize(self.kernel, x, m, self.depth);
        let steps = self.depth.div_ceil(self.kernel.step);
        let tiles = m.div_ceil(self.kernel.rows);
        assert!(activations.words.len() >= tiles * steps * self.kernel.rows);
        assert!(
            c.data.len() > (m - 1) * c.row + (self.rows - 1) * c.col,
            "int8 product: c is too short"
        );
        let job = Job {
            packed: self,
            words: &activations.words,
            row_scales: &activations.scales[..m],
            steps,
            add: beta != 0.0,
        };
        // SAFETY: a kernel is only listed where the processor has what it
        // needs; the lengths that it relies on have been checked above or, of
        // `values`, come from `new`.
        unsafe { (self.kernel.product)(&job, &mut c) }
    }
}

/// Quantized activations, a buffer that calls reuse.
#[derive(Debug, Default)]
pub(super) struct Activations {
    /// `[tiles, steps, tile rows]`, each `step` channels of one row.
    words: Vec<u32>,
    scales: Vec<f32>,
    gathered: Vec<f32>,
    bytes: Vec<u8>,
    pairs: Vec<i16>,
}

impl Activations {
    fn quantize(&mut self, kernel: &Kernel, x: View<'_>, m: usize, depth: usize) {
        let (rows, step) = (kernel.rows, kernel.step);
        let steps = depth.div_ceil(step);
        // Stale words stand in unused rows, whose results nobody reads, and
        // beyond the last channel, where weights are zero.
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
                to_bytes(row, inverse, kernel.offset, &mut self.bytes);
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

/// Asks for the cache line of an element.
#[inline(always)]
fn prefetch(element: &i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching has no effect but on caches; part of every x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(element);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = element;
}

/// One product, for a kernel.
struct Job<'a> {
    packed: &'a Packed,
    words: &'a [u32],
    row_scales: &'a [f32],
    steps: usize,
    /// Whether the result is added to what is there.
    add: bool,
}

impl Job<'_> {
    /// Walks the tiles: a few rows' worth of activations stays in the nearest
    /// cache while panels of weights pass, and a panel while rows pass.
    /// `open` brings a panel, `steps · COLUMNS · step` weights, into the form
    /// that `tile` reads, once for all the tiles that share the pass; `tile`
    /// sums one. Inlined into a function with a processor's features, the rest
    /// uses them too.
    ///
    /// # Safety
    /// As what `tile` needs of its pointers: `steps · ROWS` words, and what
    /// `open` has returned last.
    #[inline(always)]
    unsafe fn run<const ROWS: usize, const COLUMNS: usize, W>(
        &self,
        c: &mut ViewMut<'_>,
        mut open: impl FnMut(&[i8]) -> *const W,
        tile: impl Fn(*const u32, *const W, &mut [[i32; COLUMNS]; ROWS]),
    ) {
        /// Tiles of rows that share a pass over the weights.
        const GROUP: usize = 48;
        let (m, n) = (self.row_scales.len(), self.packed.rows);
        let panel_bytes = self.steps * COLUMNS * self.packed.kernel.step;
        let tiles = m.div_ceil(ROWS);
        let mut sums = [[0i32; COLUMNS]; ROWS];
        for group in (0..tiles).step_by(GROUP) {
            for panel in 0..n.div_ceil(COLUMNS) {
                let column = panel * COLUMNS;
                let scales = &self.packed.scales[column..column + COLUMNS];
                let excess = &self.packed.excess[column..column + COLUMNS];
                let weights = &self.packed.values[panel * panel_bytes..(panel + 1) * panel_bytes];
                let next = &self.packed.values[(panel + 1) * panel_bytes..];
                let last = tiles.min(group + GROUP);
                let share = panel_bytes.div_ceil(last - group);
                let opened = open(weights);
                for t in group..last {
                    // The next panel comes from afar while this one is used.
                    let from = (t - group) * share;
                    for line in next.iter().skip(from).take(share).step_by(64) {
                        prefetch(line);
                    }
                    let words = &self.words[t * self.steps * ROWS..(t + 1) * self.steps * ROWS];
                    tile(words.as_ptr(), opened, &mut sums);
                    for (sums, row) in sums.iter().zip(t * ROWS..m) {
                        let factor = self.row_scales[row];
                        let mut values = [0.0; COLUMNS];
                        for i in 0..COLUMNS {
                            values[i] = sums[i].wrapping_sub(excess[i]) as f32 * scales[i] * factor;
                        }
                        // Of a known length where that is possible: no loop is
                        // left of it then.
                        if column + COLUMNS <= n {
                            self.store(c, row, column, &values);
                        } else {
                            self.store(c, row, column, &values[..n - column]);
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn store(&self, c: &mut ViewMut<'_>, row: usize, column: usize, values: &[f32]) {
        let start = row * c.row + column * c.col;
        if c.col == 1 {
            let to = &mut c.data[start..start + values.len()];
            if self.add {
                for (to, v) in to.iter_mut().zip(values) {
                    *to += v;
                }
            } else {
                to.copy_from_slice(values);
            }
        } else {
            for (to, v) in c.data[start..].iter_mut().step_by(c.col).zip(values) {
                *to = if self.add { *to + v } else { *v };
            }
        }
    }
}
