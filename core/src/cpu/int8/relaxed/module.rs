//! The WebAssembly module `module.wasm`: a product in relaxed SIMD, apart from
//! everything else, because a module with an instruction that a browser lacks
//! does not load there at all. It computes in the memory of the module that
//! loads it, without stack or data of its own. Built by hand when it changes:
//!
//! ```sh
//! rustc --edition 2024 --target wasm32-unknown-unknown --crate-type cdylib -O \
//!   -C panic=abort -C strip=symbols -C target-feature=+simd128,+relaxed-simd \
//!   -C link-arg=--import-memory -C link-arg=-zstack-size=0 \
//!   -C link-arg=--export=product module.rs -o module.wasm
//! ```
#![no_std]

use core::arch::wasm32::{
    i32x4_relaxed_dot_i8x16_i7x16_add, i32x4_splat, v128, v128_load, v128_load32_splat, v128_store,
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
pub unsafe extern "C" fn product(
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
