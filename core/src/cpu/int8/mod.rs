//! Matrix products in 8-bit integers.
//!
//! Weights have one scale a row, activations one a row that is found as they
//! come; products are summed exactly in 32 bits and scaled at the end. What
//! the processor multiplies best decides the form of both: bytes four at a
//! time where it has a dot product of bytes (x86 VNNI, WebAssembly's relaxed
//! SIMD), otherwise 16-bit pairs (AVX2, WebAssembly, anything).

mod activations;
mod portable;
#[cfg(target_arch = "wasm32")]
mod relaxed;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use activations::{Activations, Form};

use crate::gemm::{View, ViewMut};
use crate::weights::{Tensor, Values, int8_rows};

/// A processor's way to multiply: a tile of `form.rows` by `columns` results
/// at a time.
pub(super) struct Kernel {
    /// What it needs, for people.
    pub(super) name: &'static str,
    /// How it reads activations; its weights have the same step.
    form: Form,
    columns: usize,
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

    /// Whether the processor has a dot product of bytes for it.
    pub(super) fn multiplies_bytes(&self) -> bool {
        self.form.step == 4
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
        let (columns, step) = (kernel.columns, kernel.form.step);
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
                i32::from(kernel.form.offset) * source.iter().map(|&v| i32::from(v)).sum::<i32>();
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
    ) {
        if m == 0 {
            return;
        }
        let form = self.kernel.form;
        let steps = self.depth.div_ceil(form.step);
        activations.quantize(form, x, [m, self.depth], steps);
        assert!(activations.words.len() >= m.next_multiple_of(form.rows) * steps);
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
        let panel_bytes = self.steps * COLUMNS * self.packed.kernel.form.step;
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
                            c.put([row, column], &values, self.add);
                        } else {
                            c.put([row, column], &values[..n - column], self.add);
                        }
                    }
                }
            }
        }
    }
}
