//! WebAssembly's relaxed product of pairs of bytes, where the browser has it.

use std::cell::OnceCell;

use super::{Job, Kernel};
use crate::cpu::relaxed::{Export, call};

static KERNEL: Kernel = Kernel {
    name: "WebAssembly relaxed SIMD, 4 bits",
    rows: 4,
    columns: 8,
    sums: 1 << 16,
    product,
};

thread_local! {
    static FOUND: OnceCell<bool> = const { OnceCell::new() };
}

/// The kernel, if this browser has it.
pub(super) fn kernel() -> Option<&'static Kernel> {
    FOUND
        .with(|found| *found.get_or_init(computes))
        .then_some(&KERNEL)
}

/// Whether the module loads here and computes a product of extremes.
fn computes() -> bool {
    let (words, weights) = ([0x8080_8080; 8 * 4], [15; 8 * 8 * 4]);
    let job = Job {
        groups: 1,
        tiles: 1,
        panels: 1,
        words: &words,
        starts: &[0xFFFF_0003; 4],
        weights: &weights,
        scales: &[0.5; 8],
    };
    let mut sums = [0.0; 32];
    // -128 · 15 in 32 places, from 3 - 1 on. (As bits: LLVM 22 fails on the
    // comparison of so many floats.)
    let expected = (0.5f32 * -61_438.0).to_bits();
    sum(&job, &mut sums).is_some() && sums.map(f32::to_bits) == [expected; 32]
}

fn sum(job: &Job<'_>, sums: &mut [f32]) -> Option<()> {
    let arguments = [
        job.groups,
        job.tiles,
        job.panels,
        job.words.as_ptr().expose_provenance(),
        job.starts.as_ptr().expose_provenance(),
        job.weights.as_ptr().expose_provenance(),
        job.scales.as_ptr().expose_provenance(),
        sums.as_mut_ptr().expose_provenance(),
    ];
    // SAFETY: as many arguments as the function has; a job's arrays are as
    // long as it says, and so are the sums.
    unsafe { call(Export::Nibbles, &arguments) }
}

unsafe fn product(job: &Job<'_>, sums: &mut [f32]) {
    // A kernel that was handed out has been loaded, and the call has nothing
    // to fail of.
    let _ = sum(job, sums);
}
