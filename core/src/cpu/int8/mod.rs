//! Matrix products in 8-bit integers.
//!
//! Weights have one scale a row, activations one a row that is found as they
//! come; products are summed exactly in 32 bits and scaled at the end. What
//! the processor multiplies best decides the form of both: bytes four at a
//! time where it has a dot product of bytes (x86 VNNI, WebAssembly's relaxed
//! SIMD), otherwise 16-bit pairs (AVX2, WebAssembly, anything).

mod activations;
mod job;
mod portable;
#[cfg(target_arch = "wasm32")]
mod relaxed;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use activations::Activations;
use activations::Strides;
use job::Job;

use super::gemm::{View, ViewMut};
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
    /// Whether the rows of a tile are to follow each other word by word, or
    /// may lie as the activations did.
    interleaved: bool,
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
        let padded = m.next_multiple_of(self.kernel.rows);
        assert!(activations.words.len() >= padded * steps);
        assert!(
            c.data.len() > (m - 1) * c.row + (self.rows - 1) * c.col,
            "int8 product: c is too short"
        );
        let job = Job {
            packed: self,
            words: &activations.words,
            strides: activations.strides,
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
