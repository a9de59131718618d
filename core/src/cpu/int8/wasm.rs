//! WebAssembly's 128-bit vectors: `i32x4.dot_i16x8_s`.

use std::arch::wasm32::{
    i16x8_load_extend_i8x8, i32x4_add, i32x4_dot_i16x8, i32x4_splat, v128, v128_load,
    v128_load32_splat, v128_store,
};
use std::cell::RefCell;

use super::{Form, Job, Kernel};
use crate::gemm::ViewMut;

const ROWS: usize = 4;
/// Vectors of four columns that are summed at a time. More accumulators than
/// these eight would leave x86 too few of its 16 registers for the operands.
const VECTORS: usize = 2;
/// Such strips in a panel, so that a row of a tile is a whole cache line of
/// the result.
const STRIPS: usize = 2;
const COLUMNS: usize = 4 * VECTORS * STRIPS;

pub(super) static KERNEL: Kernel = Kernel {
    name: "WebAssembly SIMD",
    form: Form {
        rows: ROWS,
        step: 2,
        offset: 0,
    },
    columns: COLUMNS,
    product,
};

thread_local! {
    /// `[strips, steps, vectors]`: a panel in 16 bits, which stays in the
    /// nearest caches while rows pass. Widening bytes anew for every tile
    /// would take a fifth of the product's time.
    static PANEL: RefCell<Vec<v128>> = const { RefCell::new(Vec::new()) };
}

unsafe fn product(job: &Job<'_>, c: &mut ViewMut<'_>) {
    let strip = job.steps * VECTORS;
    PANEL.with_borrow_mut(|panel| {
        panel.resize(STRIPS * strip, i32x4_splat(0));
        let open = |bytes: &[i8]| {
            for (step, bytes) in bytes.chunks_exact(2 * COLUMNS).enumerate() {
                for (i, eight) in bytes.chunks_exact(8).enumerate() {
                    // SAFETY: each piece is eight bytes.
                    let wide = unsafe { i16x8_load_extend_i8x8(eight.as_ptr()) };
                    panel[i / VECTORS * strip + step * VECTORS + i % VECTORS] = wide;
                }
            }
            panel.as_ptr()
        };
        // SAFETY: `run` hands out pointers to as many elements as `tile` reads.
        unsafe {
            job.run::<ROWS, COLUMNS, _>(c, open, |x, w, sums| {
                for i in 0..STRIPS {
                    tile(job.steps, x, w.add(i * strip), i * 4 * VECTORS, sums);
                }
            });
        }
    });
}

/// Sums one strip, which begins at column `at` of the tile.
///
/// # Safety
/// `x` must have `steps · ROWS` words, `w` `steps · VECTORS` vectors; `at` must
/// leave as many columns.
#[inline(always)]
unsafe fn tile(
    steps: usize,
    mut x: *const u32,
    mut w: *const v128,
    at: usize,
    sums: &mut [[i32; COLUMNS]; ROWS],
) {
    let mut acc: [[v128; VECTORS]; ROWS] = [[i32x4_splat(0); VECTORS]; ROWS];
    for _ in 0..steps {
        // SAFETY: this step is below `steps`.
        unsafe {
            let columns = [v128_load(w), v128_load(w.add(1))];
            for (r, acc) in acc.iter_mut().enumerate() {
                let pair = v128_load32_splat(x.add(r));
                for (acc, column) in acc.iter_mut().zip(columns) {
                    *acc = i32x4_add(*acc, i32x4_dot_i16x8(pair, column));
                }
            }
            x = x.add(ROWS);
            w = w.add(VECTORS);
        }
    }
    for (sums, acc) in sums.iter_mut().zip(acc) {
        // SAFETY: a row of sums has room for two vectors from `at` on.
        unsafe {
            let sums = sums.as_mut_ptr().add(at);
            v128_store(sums.cast(), acc[0]);
            v128_store(sums.add(4).cast(), acc[1]);
        }
    }
}
