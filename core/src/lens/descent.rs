//! Does a segment go down the error? A smooth E, its gradient through the
//! output head, and the angle between it and where a segment goes.

use crate::puzzle::Shape;

/// A smooth companion of E for logits `[cells, width]`, the digits' last: with p the softmax of
/// each cell, half the sum over rows, columns and boxes and over digits of
/// (expected count - 1)^2. It is 0 exactly where every house expects every
/// digit once.
///
/// Returns the value and its gradient with respect to the logits.
#[must_use]
pub fn smooth_conflicts(shape: Shape, logits: &[f32]) -> (f64, Vec<f64>) {
    let (cells, side) = (shape.cells(), shape.side());
    let vocab = logits.len() / cells.max(1);
    let first = vocab.saturating_sub(side);
    let p: Vec<f64> = logits
        .chunks_exact(vocab.max(1))
        .flat_map(softmax)
        .collect();
    let houses = |cell: usize| {
        [
            shape.row(cell),
            side + shape.column(cell),
            2 * side + shape.box_of(cell),
        ]
    };
    // Expected count less one, by house and digit.
    let mut excess = vec![-1.0; 3 * side * side];
    for cell in 0..cells {
        for house in houses(cell) {
            for digit in 0..side {
                excess[house * side + digit] += p[cell * vocab + first + digit];
            }
        }
    }
    let value = 0.5 * excess.iter().map(|e| e * e).sum::<f64>();
    let mut gradient = vec![0.0; logits.len()];
    for cell in 0..cells {
        let row = cell * vocab..(cell + 1) * vocab;
        // With respect to p; tokens that are no digit have none.
        let mut by_p = vec![0.0; vocab];
        for house in houses(cell) {
            for digit in 0..side {
                by_p[first + digit] += excess[house * side + digit];
            }
        }
        let p = &p[row.clone()];
        let mean: f64 = p.iter().zip(&by_p).map(|(p, g)| p * g).sum();
        for ((out, p), g) in gradient[row].iter_mut().zip(p).zip(&by_p) {
            *out = p * (g - mean);
        }
    }
    (value, gradient)
}

fn softmax(row: &[f32]) -> Vec<f64> {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp: Vec<f64> = row.iter().map(|x| f64::from(x - largest).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.into_iter().map(|x| x / sum).collect()
}

/// Cosine of the angle between two vectors; 0 if one is zero.
#[must_use]
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(x, y)| x * y).sum() };
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 {
        dot(a, b) / lengths
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::Board;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn zero_at_a_solution_and_right_at_uniform() {
        let solution: Board = "1234341221434321".parse().unwrap();
        let mut logits = vec![0.0; 16 * 6];
        for (cell, token) in solution.tokens().iter().enumerate() {
            logits[cell * 6 + usize::from(*token)] = 100.0;
        }
        assert!(smooth_conflicts(Shape::S4, &logits).0 < 1e-12);
        // One digit everywhere: 12 houses, counts 4 and three times 0.
        let mut ones = vec![0.0; 16 * 6];
        (0..16).for_each(|cell| ones[cell * 6 + 2] = 100.0);
        let (value, _) = smooth_conflicts(Shape::S4, &ones);
        assert!((value - 0.5 * 12.0 * (9.0 + 3.0)).abs() < 1e-9);
    }

    #[test]
    fn gradient_agrees_with_differences() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for shape in Shape::COMMON {
            let n = shape.cells() * shape.vocab();
            let logits: Vec<f32> = (0..n).map(|_| rng.random::<f32>() * 4.0 - 2.0).collect();
            let (_, gradient) = smooth_conflicts(shape, &logits);
            for _ in 0..20 {
                let i = rng.random_range(0..n);
                let at = |h: f32| {
                    let mut moved = logits.clone();
                    moved[i] += h;
                    (smooth_conflicts(shape, &moved).0, f64::from(moved[i]))
                };
                let ((up, x), (down, y)) = (at(1e-2), at(-1e-2));
                let difference = (up - down) / (x - y);
                assert!((difference - gradient[i]).abs() < 1e-4 + 1e-3 * gradient[i].abs());
            }
        }
    }

    #[test]
    fn cosines() {
        assert!((cosine(&[1.0, 0.0], &[2.0, 2.0]) - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(cosine(&[0.0, 0.0], &[2.0, 2.0]), 0.0);
    }
}
