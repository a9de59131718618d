//! For every processor; compilers find its vector instructions in this.

use super::{Form, Job, Kernel};
use crate::gemm::ViewMut;

const ROWS: usize = 4;
const COLUMNS: usize = 8;

pub(super) static KERNEL: Kernel = Kernel {
    name: "plain",
    form: Form {
        rows: ROWS,
        step: 2,
        offset: 0,
    },
    columns: COLUMNS,
    product,
};

unsafe fn product(job: &Job<'_>, c: &mut ViewMut<'_>) {
    let steps = job.steps;
    // SAFETY: `run` hands out pointers to as many elements as the slices say.
    unsafe {
        job.run::<ROWS, COLUMNS, _>(c, <[i8]>::as_ptr, |x, w, sums| {
            let x = std::slice::from_raw_parts(x, steps * ROWS);
            let w = std::slice::from_raw_parts(w, steps * COLUMNS * 2);
            *sums = [[0; COLUMNS]; ROWS];
            for (x, w) in x.chunks_exact(ROWS).zip(w.chunks_exact(2 * COLUMNS)) {
                for (sums, &pair) in sums.iter_mut().zip(x) {
                    let (a, b) = (i32::from(pair as i16), i32::from((pair >> 16) as i16));
                    for (sum, w) in sums.iter_mut().zip(w.chunks_exact(2)) {
                        *sum += a * i32::from(w[0]) + b * i32::from(w[1]);
                    }
                }
            }
        });
    }
}
