//! Weights in the layout that the kernels read: axes padded with zeros to
//! multiples of four, and rows reordered where that saves a kernel work.
//!
//! Zeros are neutral to everything the kernels do (products, residuals, the
//! sum of squares of a norm), so padded channels stay zero all the way.

use hrm_core::engine::EngineError;
use hrm_core::weights::{Q4_GROUP, Tensor, Values, q4_groups, q4_row_bytes};

use crate::context::GpuContext;
use crate::kernel::Array;

/// The next multiple of four.
pub(crate) fn fours(n: usize) -> usize {
    n.next_multiple_of(4)
}

/// How a matrix on the device is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    F32,
    /// Two in a word.
    F16,
    /// Four signed bytes in a word; a factor a row.
    Q8,
    /// Eight nibbles in a word; an f16 factor for 32 along a row.
    Q4,
}

/// A matrix on the device, `[rows, depth]`, `depth` a multiple of four.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) values: Array,
    /// Of 8-bit matrices: one factor a row for values read by
    /// `unpack4x8snorm`, so 127 times the stored scale. Of 4-bit ones: those
    /// of the groups, two in a word.
    pub(crate) scales: Option<Array>,
    pub(crate) format: Format,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
}

/// Where the rows and columns of a packed matrix come from; `None` is zero.
pub(crate) struct Layout<'a> {
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) row: &'a dyn Fn(usize) -> Option<usize>,
    pub(crate) column: &'a dyn Fn(usize) -> Option<usize>,
}

impl Matrix {
    /// Packs and uploads a matrix tensor.
    pub(crate) fn new(
        context: &GpuContext,
        name: &'static str,
        tensor: &Tensor,
        layout: &Layout<'_>,
    ) -> Result<Self, EngineError> {
        let width = tensor.shape.get(1).copied().unwrap_or(1);
        let (format, values, scales) = match &tensor.values {
            Values::F32(values) => {
                let values = gather(values, width, layout);
                (Format::F32, Array::new(context, name, &values)?, None)
            }
            Values::F16(values) => {
                let halves = gather(values, width, layout);
                let words: Vec<u32> = halves
                    .chunks_exact(2)
                    .map(|h| word(h[0].to_bits(), h[1].to_bits()))
                    .collect();
                (Format::F16, Array::new(context, name, &words)?, None)
            }
            Values::Q8 { values, scales } => {
                let bytes = gather(values, width, layout);
                let words: Vec<u32> = bytes
                    .chunks_exact(4)
                    .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]].map(i8::cast_unsigned)))
                    .collect();
                let scales: Vec<f32> = (0..fours(layout.rows))
                    .map(|r| {
                        if r < layout.rows {
                            (layout.row)(r)
                        } else {
                            None
                        }
                    })
                    .map(|source| source.map_or(0.0, |r| 127.0 * scales[r]))
                    .collect();
                let scales = Array::new(context, "scales", &scales)?;
                (Format::Q8, Array::new(context, name, &words)?, Some(scales))
            }
            Values::Q4 { values, scales } if layout.keeps_columns(width) => {
                let (bytes, groups) = (q4_row_bytes(width), q4_groups(width));
                let (mut words, mut factors) = (Vec::new(), Vec::new());
                for row in (0..layout.rows).map(layout.row) {
                    let row_bytes = row.map(|r| &values[r * bytes..(r + 1) * bytes]);
                    let row_scales = row.map(|r| &scales[r * groups..(r + 1) * groups]);
                    // Nibbles of 8 with any scale are zeros.
                    words.extend((0..bytes / 4).map(|i| {
                        row_bytes.map_or(0x8888_8888, |b| {
                            u32::from_le_bytes([b[4 * i], b[4 * i + 1], b[4 * i + 2], b[4 * i + 3]])
                        })
                    }));
                    factors.extend((0..groups).map(|g| row_scales.map_or(0, |s| s[g].to_bits())));
                }
                factors.resize(factors.len().next_multiple_of(2), 0);
                let pairs: Vec<u32> = factors.chunks_exact(2).map(|f| word(f[0], f[1])).collect();
                let scales = Array::new(context, "scales", &pairs)?;
                (Format::Q4, Array::new(context, name, &words)?, Some(scales))
            }
            // Groups that the kernels' index of a group doesn't find.
            Values::Q4 { .. } => return Self::new(context, name, &tensor.to_q8(), layout),
        };
        Ok(Self {
            values,
            scales,
            format,
            rows: layout.rows,
            depth: layout.depth,
        })
    }

    /// Axes of `values`, for shape checks.
    pub(crate) fn axes(&self) -> [(&'static str, usize); 2] {
        let step = match self.format {
            Format::F32 => 1,
            Format::F16 => 2,
            Format::Q8 => 4,
            Format::Q4 => 8,
        };
        [("columns", self.rows), ("depth", self.depth / step)]
    }
}

impl Layout<'_> {
    /// Whether columns stay where they are, in whole groups of 4-bit weights.
    fn keeps_columns(&self, width: usize) -> bool {
        width.is_multiple_of(Q4_GROUP)
            && self.depth == width
            && (0..width).all(|c| (self.column)(c) == Some(c))
    }
}

/// Two halves of a word, the first in the low bits.
fn word(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

fn gather<T: Copy + Default>(values: &[T], width: usize, layout: &Layout<'_>) -> Vec<T> {
    let mut packed = Vec::with_capacity(layout.rows * layout.depth);
    for row in (0..layout.rows).map(layout.row) {
        packed.extend((0..layout.depth).map(|c| match (row, (layout.column)(c)) {
            (Some(row), Some(column)) => values[row * width + column],
            _ => T::default(),
        }));
    }
    packed
}

/// Copies `[rows, width]` to rows of `fours(width)`, or back.
pub(crate) fn restride(values: &[f32], from: usize, to: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len() / from.max(1) * to);
    for row in values.chunks_exact(from) {
        out.extend((0..to).map(|c| row.get(c).copied().unwrap_or(0.0)));
    }
    out
}

/// The first `n` as they are, zeros beyond.
pub(crate) fn below(n: usize) -> impl Fn(usize) -> Option<usize> {
    move |i| (i < n).then_some(i)
}

/// The `n` from `first` on, zeros beyond.
pub(crate) fn from(first: usize, n: usize) -> impl Fn(usize) -> Option<usize> {
    move |i| (i < n).then_some(first + i)
}

/// Blocks of `n` rows, each padded to `fours(n)`.
pub(crate) fn padded_rows(n: usize) -> impl Fn(usize) -> Option<usize> {
    move |row| {
        let (block, row) = (row / fours(n), row % fours(n));
        (row < n).then_some(block * n + row)
    }
}

/// Rows of a gated projection interleaved: gate 0, value 0, gate 1, value 1 …
/// so that one invocation has both halves at hand.
pub(crate) fn gate_rows(inner: usize) -> impl Fn(usize) -> Option<usize> {
    move |row| (row / 2 < inner).then_some(row / 2 + row % 2 * inner)
}

/// Rows of q, k and v with heads padded to `fours(head_dim)`. Within a head
/// of q and k, the two elements that a rotation turns into each other stand
/// side by side (their product does not depend on the order of elements).
pub(crate) fn qkv_rows(heads: usize, head_dim: usize) -> impl Fn(usize) -> Option<usize> {
    let padded = fours(head_dim);
    move |row| {
        let (part, row) = (row / (heads * padded), row % (heads * padded));
        let (head, i) = (row / padded, row % padded);
        let element = if part < 2 {
            i / 2 + i % 2 * (head_dim / 2)
        } else {
            i
        };
        (i < head_dim).then_some((part * heads + head) * head_dim + element)
    }
}

/// Columns of the output projection for padded heads.
pub(crate) fn head_columns(head_dim: usize) -> impl Fn(usize) -> Option<usize> {
    let padded = fours(head_dim);
    move |column| {
        (column % padded < head_dim).then_some(column / padded * head_dim + column % padded)
    }
}
