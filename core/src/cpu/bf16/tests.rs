use super::*;

/// Numbers that look random, exact in bf16 for every fourth.
fn noise(n: usize, seed: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0)
        .collect()
}

fn rounded(value: f32) -> f64 {
    f64::from(f32::from_bits(bf16(value) << 16))
}

/// A view of `[rows, columns]`, by rows, by columns, or spread out.
fn view(data: &[f32], [rows, columns]: [usize; 2], form: usize) -> View<'_> {
    match form {
        0 => View::rows(data, columns),
        1 => View::columns(data, rows),
        _ => View {
            data,
            row: 2 * columns + 1,
            col: 2,
        },
    }
}

fn at(view: View<'_>, row: usize, column: usize) -> f32 {
    view.data[row * view.row + column * view.col]
}

#[test]
fn products_are_those_of_the_rounded_operands() {
    let sizes = [1, 2, 12, 13, 31, 32, 33, 81];
    for (i, &m) in sizes.iter().enumerate() {
        for (j, &n) in sizes.iter().enumerate() {
            let k = [1, 2, 3, 81, 128, 2 * DEPTH + 5][(i + j) % 6];
            for form in 0..3 {
                let room = 3 * (m.max(k) + 1) * (k.max(n) + 1);
                let (a, b) = (noise(room, 1 + i), noise(room, 2 + j));
                let a = view(&a, [m, k], form);
                let b = view(&b, [k, n], (form + i) % 3);
                let by_columns = (i + j + form) % 2 == 1;
                let mut packed = noise(m * n, 3);
                let mut added = packed.clone();
                let expected = |row: usize, column: usize| -> (f64, f64) {
                    let terms = (0..k).map(|x| rounded(at(a, row, x)) * rounded(at(b, x, column)));
                    terms.fold((0.0, 1.0), |(sum, size), t| (sum + t, size + t.abs()))
                };
                let place = |row: usize, column: usize| {
                    if by_columns {
                        column * m + row
                    } else {
                        row * n + column
                    }
                };
                let old = added.clone();
                fn target(data: &mut [f32], [m, n]: [usize; 2], by_columns: bool) -> ViewMut<'_> {
                    if by_columns {
                        ViewMut::columns(data, m)
                    } else {
                        ViewMut::rows(data, n)
                    }
                }
                let mut operands = Operands::default();
                let c = target(&mut packed, [m, n], by_columns);
                Packed::new([k, n], b).multiply(m, a, 0.0, c, &mut operands);
                let c = target(&mut added, [m, n], by_columns);
                add_product((m, k, n), a, b, c, &mut operands);
                for row in 0..m {
                    for column in 0..n {
                        let (sum, size) = expected(row, column);
                        let p = place(row, column);
                        let close = |value: f64| value.abs() < 1e-5 * size;
                        let case = format!("{m} x {k} x {n}, form {form}, at {row}, {column}");
                        assert!(close(f64::from(packed[p]) - sum), "{case}");
                        let more = f64::from(added[p]) - f64::from(old[p]);
                        assert!(close(more - sum), "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_processors_own_tile_sums_like_the_portable_one() {
    let steps = 97;
    let words = |n: usize, seed: usize| -> Vec<u32> {
        let values = noise(2 * n, seed);
        values
            .chunks_exact(2)
            .map(|two| pair(two[0], two[1]))
            .collect()
    };
    let (left, right) = (words(steps * ROWS, 1), words(steps * COLUMNS, 2));
    let sum = |tile: Tile| {
        let mut sums = [[f32::NAN; COLUMNS]; ROWS];
        // SAFETY: both are as long as said, and `tile()` is what there is.
        unsafe { tile(left.as_ptr(), right.as_ptr(), steps, &mut sums) };
        sums
    };
    let (own, plain) = (sum(tile()), sum(portable));
    for (own, plain) in own.iter().flatten().zip(plain.iter().flatten()) {
        assert!((own - plain).abs() < 1e-4, "{own} {plain}");
    }
}

#[test]
fn rounding_is_to_nearest_even_and_keeps_what_is_no_number() {
    let round = |bits: u32| bf16(f32::from_bits(bits));
    assert_eq!(round(0x3f80_8000), 0x3f80, "tie to even, down");
    assert_eq!(round(0x3f81_8000), 0x3f82, "tie to even, up");
    assert_eq!(round(0x3f80_8001), 0x3f81);
    assert_eq!(round(0x7f80_0000), 0x7f80, "infinity");
    for nan in [0x7f80_0001, 0xffff_ffff, 0x7fff_ffff] {
        assert!(f32::from_bits(round(nan) << 16).is_nan(), "{nan:x}");
    }
}
