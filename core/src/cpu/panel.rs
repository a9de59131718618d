//! Products of many rows with a small matrix that stays in the nearest cache.
//!
//! `matrixmultiply` packs both operands, which costs as much as a product with
//! a depth of 16 to 128; here the left one is read where it lies.

use super::lanes::Lanes;

/// A matrix in memory: element `(r, c)` is at `r * row + c * column`.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub(super) data: *const f32,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// `c[rows, columns] = [c +] a[rows, depth] · b[depth, columns]`; `b` and `c`
/// have rows side by side, `b_row` and `c_row` apart.
///
/// # Safety
/// The processor has what `L` needs; the operands are as large as their sizes
/// say; `columns` is a multiple of `L::COUNT`; `c` overlaps neither operand.
#[inline(always)]
pub(super) unsafe fn product<L: Lanes, const ADD: bool>(
    [rows, depth, columns]: [usize; 3],
    a: Left,
    (b, b_row): (*const f32, usize),
    (c, c_row): (*mut f32, usize),
) {
    // SAFETY: by the caller's word.
    unsafe {
        let mut column = 0;
        // As many accumulators as the registers hold: 24 of AVX-512's 32, 12
        // of the others' 16.
        if L::COUNT == 16 {
            while column + 4 * L::COUNT <= columns {
                let (b, c) = (b.add(column), c.add(column));
                panel::<L, 6, 4, ADD>([rows, depth], a, (b, b_row), (c, c_row));
                column += 4 * L::COUNT;
            }
        }
        while column + 2 * L::COUNT <= columns {
            let (b, c) = (b.add(column), c.add(column));
            if L::COUNT == 16 {
                panel::<L, 12, 2, ADD>([rows, depth], a, (b, b_row), (c, c_row));
            } else {
                panel::<L, 6, 2, ADD>([rows, depth], a, (b, b_row), (c, c_row));
            }
            column += 2 * L::COUNT;
        }
        while column < columns {
            let (b, c) = (b.add(column), c.add(column));
            panel::<L, 8, 1, ADD>([rows, depth], a, (b, b_row), (c, c_row));
            column += L::COUNT;
        }
    }
}

/// The same for `V` vectors of columns, `R` rows at a time.
#[inline(always)]
unsafe fn panel<L: Lanes, const R: usize, const V: usize, const ADD: bool>(
    [rows, depth]: [usize; 2],
    a: Left,
    b: (*const f32, usize),
    (c, c_row): (*mut f32, usize),
) {
    // SAFETY: by the caller's word.
    unsafe {
        let mut row = 0;
        while row + R <= rows {
            let from = Left {
                data: a.data.add(row * a.row),
                ..a
            };
            tile::<L, R, V, ADD>(depth, from, b, (c.add(row * c_row), c_row));
            row += R;
        }
        while row + 4 <= rows {
            let from = Left {
                data: a.data.add(row * a.row),
                ..a
            };
            tile::<L, 4, V, ADD>(depth, from, b, (c.add(row * c_row), c_row));
            row += 4;
        }
        while row < rows {
            let from = Left {
                data: a.data.add(row * a.row),
                ..a
            };
            tile::<L, 1, V, ADD>(depth, from, b, (c.add(row * c_row), c_row));
            row += 1;
        }
    }
}

#[inline(always)]
unsafe fn tile<L: Lanes, const R: usize, const V: usize, const ADD: bool>(
    depth: usize,
    a: Left,
    (b, b_row): (*const f32, usize),
    (c, c_row): (*mut f32, usize),
) {
    // SAFETY: by the caller's word.
    unsafe {
        let mut sums = [[L::splat(0.0); V]; R];
        for k in 0..depth {
            let mut columns = [L::splat(0.0); V];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = L::load(b.add(k * b_row + v * L::COUNT));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = L::splat(*a.data.add(r * a.row + k * a.column));
                for (sum, &column) in sums.iter_mut().zip(&columns) {
                    *sum = L::fma(x, column, *sum);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                let to = c.add(r * c_row + v * L::COUNT);
                L::store(to, if ADD { L::add(L::load(to), sum) } else { sum });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{Width, with_lanes};
    use super::*;

    struct Case<'a> {
        sizes: [usize; 3],
        a: &'a [f32],
        transposed: bool,
        b: &'a [f32],
        c: &'a mut [f32],
    }

    #[inline(always)]
    unsafe fn run<L: Lanes>(case: &mut Case<'_>) {
        let [rows, depth, columns] = case.sizes;
        let (row, column) = if case.transposed {
            (1, rows)
        } else {
            (depth, 1)
        };
        let a = Left {
            data: case.a.as_ptr(),
            row,
            column,
        };
        let (b, c) = ((case.b.as_ptr(), columns), (case.c.as_mut_ptr(), columns));
        // SAFETY: the slices have the sizes that the test gives them.
        unsafe {
            product::<L, false>(case.sizes, a, b, c);
            product::<L, true>(case.sizes, a, b, c);
        }
    }

    #[test]
    fn products_of_every_size_and_width() {
        let noise = |n: usize, seed: usize| -> Vec<f32> {
            (0..n)
                .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0)
                .collect()
        };
        for width in Width::all() {
            for (rows, depth, vectors) in
                [(1, 1, 1), (5, 3, 2), (13, 16, 4), (25, 33, 7), (81, 8, 12)]
            {
                let sizes = [rows, depth, vectors * width.count()];
                let columns = sizes[2];
                let (a, b) = (noise(rows * depth, 1), noise(depth * columns, 2));
                for transposed in [false, true] {
                    let mut c = vec![f32::NAN; rows * columns];
                    let mut case = Case {
                        sizes,
                        a: &a,
                        transposed,
                        b: &b,
                        c: &mut c,
                    };
                    // SAFETY: the processor has the width.
                    unsafe { with_lanes!(width, run, &mut case, &mut Case<'_>) };
                    for r in 0..rows {
                        for j in 0..columns {
                            let at = |k| {
                                if transposed {
                                    k * rows + r
                                } else {
                                    r * depth + k
                                }
                            };
                            let want: f64 = (0..depth)
                                .map(|k| 2.0 * f64::from(a[at(k)]) * f64::from(b[k * columns + j]))
                                .sum();
                            let got = f64::from(c[r * columns + j]);
                            assert!(
                                (got - want).abs() < 1e-5 * depth as f64,
                                "{width:?} {sizes:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
