//! The walk over the tiles of a product.

use super::Packed;
use super::activations::Strides;
use crate::cpu::gemm::ViewMut;

/// Asks for the cache lines of some elements.
#[inline(always)]
fn prefetch(elements: &[i8]) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..elements.len()).step_by(64) {
        // SAFETY: prefetching has no effect but on caches; part of every x86-64.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(elements.as_ptr().add(line));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = elements;
}

/// One product, for a kernel.
pub(super) struct Job<'a> {
    pub(super) packed: &'a Packed,
    pub(super) words: &'a [u32],
    pub(super) strides: Strides,
    pub(super) row_scales: &'a [f32],
    pub(super) steps: usize,
    /// Whether the result is added to what is there.
    pub(super) add: bool,
}

/// Which part of the result a tile is.
struct Place {
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
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
    /// As what `tile` needs of its pointers: `ROWS` rows of `steps` words by
    /// `strides`, and what `open` has returned last.
    #[inline(always)]
    pub(super) unsafe fn run<const ROWS: usize, const COLUMNS: usize, W>(
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
                let weights = &self.packed.values[panel * panel_bytes..(panel + 1) * panel_bytes];
                let mut next = &self.packed.values[(panel + 1) * panel_bytes..];
                let last = tiles.min(group + GROUP);
                let share = panel_bytes.div_ceil(last - group).next_multiple_of(64);
                let opened = open(weights);
                for t in group..last {
                    // The next panel comes from afar while this one is used.
                    let soon;
                    (soon, next) = next.split_at(share.min(next.len()));
                    prefetch(soon);
                    let words = &self.words[t * self.strides.tile..];
                    tile(words.as_ptr(), opened, &mut sums);
                    let place = Place {
                        row: t * ROWS,
                        rows: ROWS.min(m - t * ROWS),
                        column: panel * COLUMNS,
                        columns: COLUMNS.min(n - panel * COLUMNS),
                    };
                    // Loops of a known length where that is possible.
                    if place.rows == ROWS && place.columns == COLUMNS {
                        let place = Place {
                            rows: ROWS,
                            columns: COLUMNS,
                            ..place
                        };
                        self.finish(c, &sums, &place);
                    } else {
                        self.finish(c, &sums, &place);
                    }
                }
            }
        }
    }

    /// Scales a tile's sums and stores them, or adds them to what is there.
    #[inline(always)]
    fn finish<const ROWS: usize, const COLUMNS: usize>(
        &self,
        c: &mut ViewMut<'_>,
        sums: &[[i32; COLUMNS]; ROWS],
        place: &Place,
    ) {
        let Place {
            row,
            rows,
            column,
            columns,
        } = *place;
        let scales = &self.packed.scales[column..column + COLUMNS];
        let excess = &self.packed.excess[column..column + COLUMNS];
        let factors = &self.row_scales[row..row + rows];
        let value =
            |r: usize, i: usize| sums[r][i].wrapping_sub(excess[i]) as f32 * scales[i] * factors[r];
        if c.col == 1 {
            for r in 0..rows {
                // Of a known length, so that no loop is left of it.
                let mut values = [0.0; COLUMNS];
                for (i, v) in values.iter_mut().enumerate() {
                    *v = value(r, i);
                }
                let to = &mut c.data[(row + r) * c.row + column..][..columns];
                if self.add {
                    for (to, v) in to.iter_mut().zip(values) {
                        *to += v;
                    }
                } else {
                    to.copy_from_slice(&values[..columns]);
                }
            }
        } else {
            // Scaled along the columns, where vectors lie, and then stored
            // along the rows, where the result does.
            let mut values = [[0.0; COLUMNS]; ROWS];
            for (r, values) in values[..rows].iter_mut().enumerate() {
                for (i, v) in values.iter_mut().enumerate() {
                    *v = value(r, i);
                }
            }
            for i in 0..columns {
                let to = &mut c.data[(column + i) * c.col + row * c.row..];
                if c.row == 1 {
                    let to = &mut to[..rows];
                    for (r, to) in to.iter_mut().enumerate() {
                        *to = if self.add {
                            *to + values[r][i]
                        } else {
                            values[r][i]
                        };
                    }
                } else {
                    for (to, values) in to.iter_mut().step_by(c.row).zip(&values[..rows]) {
                        *to = if self.add { *to + values[i] } else { values[i] };
                    }
                }
            }
        }
    }
}
