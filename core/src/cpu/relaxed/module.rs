//! The WebAssembly module `module.wasm`: products in relaxed SIMD, apart from
//! everything else, because a module with an instruction that a browser lacks
//! does not load there at all. It computes in the memory of the module that
//! loads it, without stack or data of its own. `cargo xtask relaxed` builds it
//! anew when this file changes; the checks compare the two.
#![no_std]

use core::arch::wasm32::{
    f32x4_add, f32x4_convert_i32x4, f32x4_mul, i16x8_add, i16x8_relaxed_dot_i8x16_i7x16,
    i32x4_extadd_pairwise_i16x8, i32x4_relaxed_dot_i8x16_i7x16_add, i32x4_splat, v128,
    v128_load, v128_load32_splat, v128_store,
};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// Rows and vectors of four columns of a tile.
const ROWS: usize = 4;
const VECTORS: usize = 2;

/// `sums[panel, tile, row, column]`: for each, the sum over `steps` of the
/// products of four bytes of `words[tile, step, row]` and of `weights[panel,
/// step, column]`.
///
/// # Safety
/// The arrays must be as long as that says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sum_bytes(
    steps: usize,
    tiles: usize,
    panels: usize,
    words: *const u32,
    mut weights: *const v128,
    mut sums: *mut v128,
) {
    for _ in 0..panels {
        let mut x = words;
        for _ in 0..tiles {
            let mut w = weights;
            let mut acc = [[i32x4_splat(0); VECTORS]; ROWS];
            for _ in 0..steps {
                // SAFETY: what the caller answers for.
                unsafe {
                    let columns = [v128_load(w), v128_load(w.add(1))];
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let four = v128_load32_splat(x.add(r));
                        acc[0] = i32x4_relaxed_dot_i8x16_i7x16_add(columns[0], four, acc[0]);
                        acc[1] = i32x4_relaxed_dot_i8x16_i7x16_add(columns[1], four, acc[1]);
                    }
                    x = x.add(ROWS);
                    w = w.add(VECTORS);
                }
            }
            for v in acc.as_flattened() {
                // SAFETY: what the caller answers for.
                unsafe {
                    v128_store(sums, *v);
                    sums = sums.add(1);
                }
            }
        }
        // SAFETY: what the caller answers for.
        weights = unsafe { weights.add(steps * VECTORS) };
    }
}

/// Steps of four channels that share a scale.
const GROUP: usize = 8;

/// `sums[panel, tile, row, column]`: for each, the sum over `groups` of
/// `scales[panel, group, column]` times a whole number, which is the sum of
/// both halves of `starts[tile, group, row]` and, over the group's steps, the
/// products of four signed bytes of `words[tile, group, step, row]` and four
/// bytes from 0 to 15 of `weights[panel, group, step, column]`.
///
/// Two such products fit into 16 bits whatever they are (2 · 128 · 15), so
/// that the instruction does the same on every processor, and pairs of them
/// are summed in 16 bits, twice as many at a time as in 32. The starts make
/// weights of them that are 8 smaller: the sum of a group's fits too then
/// (8 · 2 · 128 · 8), and what wraps around on the way does not matter.
///
/// # Safety
/// The arrays must be as long as that says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sum_nibbles(
    groups: usize,
    tiles: usize,
    panels: usize,
    words: *const u32,
    starts: *const u32,
    mut weights: *const v128,
    mut scales: *const v128,
    mut sums: *mut v128,
) {
    for _ in 0..panels {
        let (mut x, mut start) = (words, starts);
        for _ in 0..tiles {
            let (mut w, mut scale) = (weights, scales);
            for group in 0..groups {
                let mut acc = [[i32x4_splat(0); VECTORS]; ROWS];
                for (r, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: what the caller answers for.
                    *acc = [unsafe { v128_load32_splat(start.add(r)) }; VECTORS];
                }
                for _ in 0..GROUP {
                    // SAFETY: what the caller answers for.
                    unsafe {
                        let columns = [v128_load(w), v128_load(w.add(1))];
                        for (r, acc) in acc.iter_mut().enumerate() {
                            let four = v128_load32_splat(x.add(r));
                            for (acc, columns) in acc.iter_mut().zip(columns) {
                                let pairs = i16x8_relaxed_dot_i8x16_i7x16(four, columns);
                                *acc = i16x8_add(*acc, pairs);
                            }
                        }
                        x = x.add(ROWS);
                        w = w.add(VECTORS);
                    }
                }
                // SAFETY: what the caller answers for.
                let factors = unsafe { [v128_load(scale), v128_load(scale.add(1))] };
                for (r, acc) in acc.iter().enumerate() {
                    for (v, acc) in acc.iter().enumerate() {
                        // SAFETY: what the caller answers for.
                        unsafe {
                            let whole = i32x4_extadd_pairwise_i16x8(*acc);
                            let mut value = f32x4_mul(f32x4_convert_i32x4(whole), factors[v]);
                            // Totals lie in memory: there are too few registers
                            // for them beside the accumulators.
                            let to = sums.add(r * VECTORS + v);
                            if group > 0 {
                                value = f32x4_add(v128_load(to), value);
                            }
                            v128_store(to, value);
                        }
                    }
                }
                // SAFETY: what the caller answers for.
                unsafe {
                    start = start.add(ROWS);
                    scale = scale.add(VECTORS);
                }
            }
            // SAFETY: what the caller answers for.
            sums = unsafe { sums.add(ROWS * VECTORS) };
        }
        // SAFETY: what the caller answers for.
        unsafe {
            weights = weights.add(groups * GROUP * VECTORS);
            scales = scales.add(groups * VECTORS);
        }
    }
}
