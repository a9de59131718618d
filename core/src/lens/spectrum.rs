//! Leading eigenvalues of a map's derivative, from products with vectors.

use serde::{Deserialize, Serialize};

/// An eigenvalue, possibly one of a complex pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Eigenvalue {
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

impl Eigenvalue {
    /// Its absolute value: the factor by which a disturbance along its
    /// direction grows at a fixed point, which is stable if all are below 1.
    #[must_use]
    pub fn modulus(&self) -> f64 {
        self.re.hypot(self.im)
    }
}

/// Ritz values of a linear map after at most `steps` steps of Arnoldi's
/// iteration from `start`, largest modulus first; fewer if the map takes the
/// start into a smaller space. Everything but `map` itself is f64, with every
/// new vector orthogonalised twice.
///
/// # Errors
/// Those of `map`.
pub fn arnoldi<E>(
    start: &[f64],
    steps: usize,
    mut map: impl FnMut(&[f64]) -> Result<Vec<f64>, E>,
) -> Result<Vec<Eigenvalue>, E> {
    let norm = norm(start);
    if norm == 0.0 || !norm.is_finite() {
        return Ok(Vec::new());
    }
    let mut basis: Vec<Vec<f64>> = vec![start.iter().map(|x| x / norm).collect()];
    // Columns of the Hessenberg matrix.
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for step in 0..steps.min(start.len()) {
        let mut next = map(&basis[step])?;
        let scale = self::norm(&next);
        let mut column = vec![0.0; step + 2];
        for _ in 0..2 {
            for (entry, vector) in column.iter_mut().zip(&basis) {
                let overlap: f64 = next.iter().zip(vector).map(|(a, b)| a * b).sum();
                *entry += overlap;
                for (x, v) in next.iter_mut().zip(vector) {
                    *x -= overlap * v;
                }
            }
        }
        let left = self::norm(&next);
        column[step + 1] = left;
        columns.push(column);
        if left <= 1e-12 * scale {
            break;
        }
        basis.push(next.into_iter().map(|x| x / left).collect());
    }
    let n = columns.len();
    let mut hessenberg = vec![Complex::default(); n * n];
    for (j, column) in columns.iter().enumerate() {
        for (i, &entry) in column.iter().enumerate().take(n) {
            hessenberg[i * n + j].re = entry;
        }
    }
    let mut values: Vec<Eigenvalue> = hessenberg_eigenvalues(hessenberg, n)
        .into_iter()
        .map(|c| Eigenvalue { re: c.re, im: c.im })
        .collect();
    values.sort_by(|a, b| {
        b.modulus()
            .total_cmp(&a.modulus())
            .then(b.im.total_cmp(&a.im))
    });
    Ok(values)
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[derive(Debug, Clone, Copy, Default)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    fn abs(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn conj(self) -> Self {
        Self {
            re: self.re,
            im: -self.im,
        }
    }

    fn scale(self, by: f64) -> Self {
        Self {
            re: self.re * by,
            im: self.im * by,
        }
    }

    fn sqrt(self) -> Self {
        let r = self.abs();
        let re = ((r + self.re) / 2.0).max(0.0).sqrt();
        let im = ((r - self.re) / 2.0).max(0.0).sqrt();
        Self {
            re,
            im: if self.im < 0.0 { -im } else { im },
        }
    }
}

impl std::ops::Add for Complex {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            re: self.re + o.re,
            im: self.im + o.im,
        }
    }
}

impl std::ops::Sub for Complex {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self {
            re: self.re - o.re,
            im: self.im - o.im,
        }
    }
}

impl std::ops::Mul for Complex {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self {
            re: self.re * o.re - self.im * o.im,
            im: self.re * o.im + self.im * o.re,
        }
    }
}

/// Eigenvalues of a complex upper Hessenberg matrix `[n, n]` by the QR
/// algorithm with Wilkinson's shift.
fn hessenberg_eigenvalues(mut h: Vec<Complex>, n: usize) -> Vec<Complex> {
    /// Far above the two or three that an eigenvalue usually takes.
    const ITERATIONS: usize = 100;
    let mut values = Vec::with_capacity(n);
    let mut size = n;
    let mut iterations = 0;
    while size > 0 {
        let last = size - 1;
        let at = |i: usize, j: usize| i * n + j;
        // Where the matrix falls apart, from the end.
        let mut low = last;
        while low > 0 {
            let near = h[at(low, low)].abs() + h[at(low - 1, low - 1)].abs();
            if h[at(low, low - 1)].abs() <= f64::EPSILON * near {
                break;
            }
            low -= 1;
        }
        if low == last || iterations >= ITERATIONS {
            values.push(h[at(last, last)]);
            size -= 1;
            iterations = 0;
            continue;
        }
        iterations += 1;
        let shift = if iterations % 10 == 0 {
            // An odd shift breaks the rare cycle.
            h[at(last, last)]
                + Complex {
                    re: h[at(last, last - 1)].abs(),
                    im: 0.0,
                }
        } else {
            wilkinson(
                h[at(last - 1, last - 1)],
                h[at(last - 1, last)],
                h[at(last, last - 1)],
                h[at(last, last)],
            )
        };
        for i in low..=last {
            h[at(i, i)] = h[at(i, i)] - shift;
        }
        let mut rotations = Vec::with_capacity(last - low);
        for k in low..last {
            let (a, b) = (h[at(k, k)], h[at(k + 1, k)]);
            let r = a.abs().hypot(b.abs());
            let (c, s) = if r == 0.0 {
                (Complex { re: 1.0, im: 0.0 }, Complex::default())
            } else {
                (a.scale(1.0 / r), b.scale(1.0 / r))
            };
            for j in k..=last {
                let (x, y) = (h[at(k, j)], h[at(k + 1, j)]);
                h[at(k, j)] = c.conj() * x + s.conj() * y;
                h[at(k + 1, j)] = c * y - s * x;
            }
            rotations.push((c, s));
        }
        for (k, (c, s)) in (low..last).zip(rotations) {
            for i in low..=(k + 2).min(last) {
                let (x, y) = (h[at(i, k)], h[at(i, k + 1)]);
                h[at(i, k)] = x * c + y * s;
                h[at(i, k + 1)] = y * c.conj() - x * s.conj();
            }
        }
        for i in low..=last {
            h[at(i, i)] = h[at(i, i)] + shift;
        }
    }
    values
}

/// The eigenvalue of a 2x2 matrix that is nearer to its last entry.
fn wilkinson(a: Complex, b: Complex, c: Complex, d: Complex) -> Complex {
    let half = (a - d).scale(0.5);
    let root = (half * half + b * c).sqrt();
    let middle = (a + d).scale(0.5);
    let (x, y) = (middle + root, middle - root);
    if (x - d).abs() <= (y - d).abs() { x } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::convert::Infallible;

    /// Multiplication by a matrix `[n, n]`.
    fn by(matrix: &[f64], n: usize) -> impl FnMut(&[f64]) -> Result<Vec<f64>, Infallible> {
        move |v| {
            Ok(matrix
                .chunks(n)
                .map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
                .collect())
        }
    }

    #[test]
    fn eigenvalues_of_companion_matrices() {
        // (x - 3)(x + 2)(x^2 - 2x + 5) = x^4 - 3x^3 + x^2 + 7x - 30.
        let mut m = vec![0.0; 16];
        for i in 0..3 {
            m[(i + 1) * 4 + i] = 1.0;
        }
        for (i, c) in [30.0, -7.0, -1.0, 3.0].into_iter().enumerate() {
            m[i * 4 + 3] = c;
        }
        let values = arnoldi(&[1.0, 0.3, -0.2, 0.7], 4, by(&m, 4)).unwrap();
        let expected = [(3.0, 0.0), (1.0, 2.0), (1.0, -2.0), (-2.0, 0.0)];
        for (value, (re, im)) in values.iter().zip(expected) {
            assert!(
                (value.re - re).abs() < 1e-9 && (value.im - im).abs() < 1e-9,
                "{values:?}"
            );
        }
        // A cyclic permutation: the roots of unity, without a dominant one.
        let n = 7;
        let mut m = vec![0.0; n * n];
        for i in 0..n {
            m[(i + 1) % n * n + i] = 1.0;
        }
        let start: Vec<f64> = (0..n).map(|i| (i as f64 * 1.7).sin() + 0.1).collect();
        let values = arnoldi(&start, n, by(&m, n)).unwrap();
        assert_eq!(values.len(), n);
        for v in &values {
            assert!((v.modulus() - 1.0).abs() < 1e-9);
            let turns = v.im.atan2(v.re) / std::f64::consts::TAU * n as f64;
            assert!((turns - turns.round()).abs() < 1e-9);
        }
    }

    #[test]
    fn leading_values_of_a_large_map_come_first() {
        // Diagonal with two large entries in a random orthogonal disguise
        // (one Householder reflection).
        let n = 300;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut u: Vec<f64> = (0..n).map(|_| rng.random::<f64>() - 0.5).collect();
        let length = norm(&u);
        u.iter_mut().for_each(|x| *x /= length);
        let diagonal: Vec<f64> = (0..n)
            .map(|i| match i {
                0 => 1.5,
                1 => -1.2,
                _ => 0.8 * i as f64 / n as f64,
            })
            .collect();
        let reflect = |v: &[f64]| -> Vec<f64> {
            let overlap: f64 = v.iter().zip(&u).map(|(a, b)| a * b).sum();
            v.iter()
                .zip(&u)
                .map(|(x, u)| x - 2.0 * overlap * u)
                .collect()
        };
        let start: Vec<f64> = (0..n).map(|_| rng.random::<f64>() - 0.5).collect();
        let values = arnoldi(&start, 40, |v| {
            let inner: Vec<f64> = reflect(v)
                .iter()
                .zip(&diagonal)
                .map(|(x, d)| x * d)
                .collect();
            Ok::<_, Infallible>(reflect(&inner))
        })
        .unwrap();
        assert!((values[0].re - 1.5).abs() < 1e-9, "{:?}", &values[..3]);
        assert!((values[1].re + 1.2).abs() < 1e-6, "{:?}", &values[..3]);
        assert!(values[2].modulus() < 0.81);
    }

    #[test]
    fn small_and_empty_cases() {
        let identity = |v: &[f64]| Ok::<_, Infallible>(v.to_vec());
        assert!(arnoldi(&[0.0; 3], 5, identity).unwrap().is_empty());
        let values = arnoldi(&[1.0, 2.0, 3.0], 5, identity).unwrap();
        assert_eq!(values.len(), 1, "an eigenvector spans its own space");
        assert!((values[0].re - 1.0).abs() < 1e-12);
    }
}
