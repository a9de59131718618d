//! How many dimensions a level of the recurrence makes use of.

/// Mean and covariance of vectors that come one at a time.
#[derive(Debug, Clone)]
pub struct Covariance {
    n: usize,
    sum: Vec<f64>,
    /// Sums of products, `[d, d]`, lower triangle.
    products: Vec<f64>,
}

impl Covariance {
    /// Of vectors of `dimension` elements.
    #[must_use]
    pub fn new(dimension: usize) -> Self {
        Self {
            n: 0,
            sum: vec![0.0; dimension],
            products: vec![0.0; dimension * dimension],
        }
    }

    /// Takes in the rows of `[rows, dimension]`.
    pub fn add(&mut self, rows: &[f32]) {
        let d = self.sum.len();
        for row in rows.chunks_exact(d.max(1)) {
            self.n += 1;
            for (i, &x) in row.iter().enumerate() {
                let x = f64::from(x);
                self.sum[i] += x;
                let products = &mut self.products[i * d..i * d + i + 1];
                for (p, &y) in products.iter_mut().zip(row) {
                    *p += x * f64::from(y);
                }
            }
        }
    }

    /// The participation ratio (sum of eigenvalues)^2 / (sum of squared
    /// eigenvalues) of the covariance: the effective dimension, from 1 to the
    /// number of elements. It is tr(C)^2 / tr(C^2), so no eigenvalue is
    /// needed. None if all vectors are equal.
    #[must_use]
    pub fn participation_ratio(&self) -> Option<f64> {
        let (d, n) = (self.sum.len(), self.n as f64);
        let (mut trace, mut squares) = (0.0, 0.0);
        for i in 0..d {
            for j in 0..=i {
                let c = self.products[i * d + j] / n - self.sum[i] / n * (self.sum[j] / n);
                if i == j {
                    trace += c;
                    squares += c * c;
                } else {
                    squares += 2.0 * c * c;
                }
            }
        }
        (trace > 1e-12).then(|| trace * trace / squares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn effective_dimensions_of_known_clouds() {
        let noise = Noise {
            seed: 6,
            deviation: 1.0,
        };
        let mut round = Covariance::new(10);
        let mut flat = Covariance::new(10);
        let mut line = Covariance::new(10);
        for draw in 0..4_000 {
            let mut v = vec![7.0; 10];
            noise.add(draw, 10, &mut v);
            round.add(&v);
            // Only the first three vary.
            v[3..].fill(1.0);
            flat.add(&v);
            line.add(&[v[0] * 2.0; 10]);
        }
        assert!((round.participation_ratio().unwrap() - 10.0).abs() < 0.1);
        assert!((flat.participation_ratio().unwrap() - 3.0).abs() < 0.05);
        assert!((line.participation_ratio().unwrap() - 1.0).abs() < 1e-9);
        let mut still = Covariance::new(2);
        still.add(&[1.0, 2.0, 1.0, 2.0]);
        assert_eq!(still.participation_ratio(), None);
    }
}
