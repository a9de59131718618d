//! WebAssembly's relaxed dot product of bytes, where the browser has it and it
//! is exact.

use std::cell::{OnceCell, RefCell};

use super::{Form, Job, Kernel};
use crate::cpu::relaxed::{Export, call};
use crate::gemm::ViewMut;

const ROWS: usize = 4;
const COLUMNS: usize = 8;

/// Where the second operand is taken for unsigned (x86 with VNNI).
static UNSIGNED: Kernel = with("WebAssembly relaxed SIMD", 128);

/// Where it is taken for signed (ARM).
static SIGNED: Kernel = with("WebAssembly relaxed SIMD, signed", 0);

const fn with(name: &'static str, offset: u8) -> Kernel {
    Kernel {
        name,
        form: Form {
            rows: ROWS,
            step: 4,
            offset,
        },
        columns: COLUMNS,
        product,
    }
}

thread_local! {
    static FOUND: OnceCell<Option<&'static Kernel>> = const { OnceCell::new() };
    static SUMS: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

/// The kernel, if this browser has it.
pub(super) fn kernel() -> Option<&'static Kernel> {
    FOUND.with(|found| *found.get_or_init(find))
}

/// What the instruction does with a top bit in its second operand is up to the
/// processor; some saturate, which is no use here.
fn find() -> Option<&'static Kernel> {
    let mut sums = [0; ROWS * COLUMNS];
    let (words, weights) = ([u32::MAX; ROWS], [-127; COLUMNS * 4]);
    sum([1, 1, 1], &words, &weights, &mut sums)?;
    let kernel = match sums[0] {
        -129_540 => &UNSIGNED,
        508 => &SIGNED,
        _ => return None,
    };
    sums.iter().all(|&s| s == sums[0]).then_some(kernel)
}

/// Sums of `[steps, tiles, panels]`; `None` if the call failed.
fn sum(sizes: [usize; 3], words: &[u32], weights: &[i8], sums: &mut [i32]) -> Option<()> {
    let [steps, tiles, panels] = sizes;
    assert!(
        words.len() >= steps * tiles * ROWS
            && weights.len() >= steps * panels * COLUMNS * 4
            && sums.len() >= tiles * panels * ROWS * COLUMNS,
        "relaxed product: an array is too short"
    );
    let pointers = [
        words.as_ptr().expose_provenance(),
        weights.as_ptr().expose_provenance(),
        sums.as_mut_ptr().expose_provenance(),
    ];
    // SAFETY: as many arguments as the function has, and arrays of the lengths
    // that it reads and writes, as just checked.
    unsafe { call(Export::Bytes, &[sizes, pointers].concat()) }
}

unsafe fn product(job: &Job<'_>, c: &mut ViewMut<'_>) {
    let tiles = job.row_scales.len().div_ceil(ROWS);
    let panels = job.packed.rows.div_ceil(COLUMNS);
    SUMS.with_borrow_mut(|sums| {
        sums.resize(panels * tiles * ROWS * COLUMNS, 0);
        let (words, weights) = (job.words, job.packed.values.as_slice());
        // A kernel that was handed out has been loaded, and the call has
        // nothing to fail of.
        let _ = sum([job.steps, tiles, panels], words, weights, sums);
        let (words, weights) = (words.as_ptr(), weights.as_ptr());
        // SAFETY: `tile` only compares the pointers that it gets, both into
        // the arrays it compares them with.
        unsafe {
            job.run::<ROWS, COLUMNS, _>(c, <[i8]>::as_ptr, |x, w, out| {
                let tile = x.offset_from(words).unsigned_abs() / (job.steps * ROWS);
                let panel = w.offset_from(weights).unsigned_abs() / (job.steps * COLUMNS * 4);
                let at = (panel * tiles + tile) * ROWS * COLUMNS;
                out.as_flattened_mut()
                    .copy_from_slice(&sums[at..at + ROWS * COLUMNS]);
            });
        }
    });
}
