//! Matrix products over strided views, on top of `matrixmultiply`.

/// A matrix in a slice: element `(r, c)` is `data[r * row + c * col]`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
    pub(crate) col: usize,
}

impl<'a> View<'a> {
    /// Row-major with `width` columns.
    pub(crate) fn rows(data: &'a [f32], width: usize) -> Self {
        Self {
            data,
            row: width,
            col: 1,
        }
    }

    /// The transpose of [`View::rows`].
    pub(crate) fn columns(data: &'a [f32], width: usize) -> Self {
        Self {
            data,
            row: 1,
            col: width,
        }
    }
}

/// The same, to write to.
pub(crate) struct ViewMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) row: usize,
    pub(crate) col: usize,
}

impl<'a> ViewMut<'a> {
    pub(crate) fn rows(data: &'a mut [f32], width: usize) -> Self {
        Self {
            data,
            row: width,
            col: 1,
        }
    }

    pub(crate) fn columns(data: &'a mut [f32], width: usize) -> Self {
        Self {
            data,
            row: 1,
            col: width,
        }
    }

    /// Writes values into a row from a column on, or adds them to what is
    /// there.
    #[inline(always)]
    pub(crate) fn put(&mut self, [row, column]: [usize; 2], values: &[f32], add: bool) {
        let start = row * self.row + column * self.col;
        if self.col == 1 {
            let to = &mut self.data[start..start + values.len()];
            if add {
                for (to, v) in to.iter_mut().zip(values) {
                    *to += v;
                }
            } else {
                to.copy_from_slice(values);
            }
        } else {
            for (to, v) in self.data[start..].iter_mut().step_by(self.col).zip(values) {
                *to = if add { *to + v } else { *v };
            }
        }
    }
}

/// `c[m, n] = beta * c + alpha * a[m, k] · b[k, n]`; with `beta` 0 the old
/// content of `c` does not matter.
///
/// # Panics
/// If a slice is too short for its view, a programming error.
pub(crate) fn gemm(
    (m, k, n): (usize, usize, usize),
    alpha: f32,
    a: View<'_>,
    b: View<'_>,
    beta: f32,
    c: ViewMut<'_>,
) {
    if m == 0 || n == 0 {
        return;
    }
    let ViewMut {
        data: out,
        row,
        col,
    } = c;
    let last = |rows: usize, cols: usize, row: usize, col: usize| {
        if rows == 0 || cols == 0 {
            0
        } else {
            (rows - 1) * row + (cols - 1) * col + 1
        }
    };
    assert!(
        a.data.len() >= last(m, k, a.row, a.col),
        "gemm: a is too short"
    );
    assert!(
        b.data.len() >= last(k, n, b.row, b.col),
        "gemm: b is too short"
    );
    assert!(out.len() >= last(m, n, row, col), "gemm: c is too short");
    // SAFETY: every element that the strides reach lies inside its slice, as
    // just checked, and `c` is borrowed mutably, so it overlaps neither `a`
    // nor `b`. Distinct (row, column) pairs of `c` are distinct elements
    // because one of its strides is 1 and the other at least its width.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            alpha,
            a.data.as_ptr(),
            a.row as isize,
            a.col as isize,
            b.data.as_ptr(),
            b.row as isize,
            b.col as isize,
            beta,
            out.as_mut_ptr(),
            row as isize,
            col as isize,
        );
    }
}
