//! WebAssembly's 128-bit vectors: `i32x4.dot_i16x8_s`.

use std::arch::wasm32::{
    i16x8_load_extend_i8x8, i32x4_add, i32x4_dot_i16x8, i32x4_splat, v128, v128_load32_splat,
    v128_store,
};

use super::{Job, Kernel};
use crate::cpu::gemm::ViewMut;

const ROWS: usize = 4;
const COLUMNS: usize = 8;

pub(super) static KERNEL: Kernel = Kernel {
    name: "WebAssembly SIMD",
    rows: ROWS,
    columns: COLUMNS,
    step: 2,
    offset: 0,
    product,
};

unsafe fn product(job: &Job<'_>, c: &mut ViewMut<'_>) {
    // SAFETY: `run` hands out pointers to as many elements as `tile` reads.
    unsafe { job.run::<ROWS, COLUMNS>(c, |x, w, sums| tile(job.steps, x, w, sums)) }
}

/// # Safety
/// `x` must have `steps · ROWS` words, `w` `steps · 2 · COLUMNS` bytes.
#[inline(always)]
unsafe fn tile(
    steps: usize,
    mut x: *const u32,
    mut w: *const i8,
    sums: &mut [[i32; COLUMNS]; ROWS],
) {
    let mut acc: [[v128; 2]; ROWS] = [[i32x4_splat(0); 2]; ROWS];
    for _ in 0..steps {
        // SAFETY: this step is below `steps`.
        unsafe {
            let left = i16x8_load_extend_i8x8(w);
            let right = i16x8_load_extend_i8x8(w.add(8));
            for (r, acc) in acc.iter_mut().enumerate() {
                let pair = v128_load32_splat(x.add(r));
                acc[0] = i32x4_add(acc[0], i32x4_dot_i16x8(pair, left));
                acc[1] = i32x4_add(acc[1], i32x4_dot_i16x8(pair, right));
            }
            x = x.add(ROWS);
            w = w.add(2 * COLUMNS);
        }
    }
    for (sums, acc) in sums.iter_mut().zip(acc) {
        // SAFETY: a row of sums has room for two vectors.
        unsafe {
            v128_store(sums.as_mut_ptr().cast(), acc[0]);
            v128_store(sums.as_mut_ptr().add(4).cast(), acc[1]);
        }
    }
}
