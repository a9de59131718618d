//! The principal plane of a trace of latent states.
//!
//! A trace is a few dozen points in some ten thousand dimensions, so its
//! principal components come from the Gram matrix of the centred points
//! (points by points) and never from the covariance (dimensions by
//! dimensions).

use serde::{Deserialize, Serialize};

/// Share of a component's spread below which the net displacement of a trace
/// says nothing about the component's sign.
const NO_DISPLACEMENT: f64 = 1e-3;

/// An affine plane in latent space, spanned by the first two principal
/// components of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plane {
    /// Mean of the trace, `[dimension]`.
    pub mean: Vec<f32>,
    /// Two orthonormal directions, `[dimension]` each, the one of larger
    /// variance first. The second is zero for a trace on a line.
    ///
    /// Sign: the trace ends at a larger coordinate than it begins at, so a
    /// run goes to the right and up; if it ends where it began, its farthest
    /// point (the earliest such) has a positive coordinate.
    pub directions: [Vec<f32>; 2],
    /// Share of the trace's variance along each direction.
    pub explained: [f64; 2],
}

impl Plane {
    /// The principal plane of a trace: at least two points, all of one
    /// length, not all equal. None otherwise.
    #[must_use]
    pub fn of_trace<T: AsRef<[f32]>>(trace: &[T]) -> Option<Self> {
        let n = trace.len();
        let dimension = trace.first()?.as_ref().len();
        if n < 2 || trace.iter().any(|p| p.as_ref().len() != dimension) {
            return None;
        }
        let mean = mean(trace, dimension);
        let gram = gram(trace, &mean);
        let total: f64 = (0..n).map(|i| gram[i * n + i]).sum();
        if !total.is_finite() || total <= 0.0 {
            return None;
        }
        let eigen = symmetric_eigen(gram, n);
        let mut directions = [vec![0.0; dimension], vec![0.0; dimension]];
        let mut explained = [0.0; 2];
        for (k, direction) in directions.iter_mut().enumerate().take(n) {
            let (value, vector) = &eigen[k];
            // What is left of rounding is no direction.
            if *value <= 1e-12 * total {
                break;
            }
            explained[k] = value / total;
            let sign = sign(vector);
            let scale = sign / value.sqrt();
            let mut sums = vec![0.0_f64; dimension];
            for (point, weight) in trace.iter().zip(vector) {
                let weight = weight * scale;
                for ((sum, &x), &m) in sums.iter_mut().zip(point.as_ref()).zip(&mean) {
                    *sum += weight * (f64::from(x) - m);
                }
            }
            *direction = sums.into_iter().map(|x| x as f32).collect();
        }
        Some(Self {
            mean: mean.into_iter().map(|x| x as f32).collect(),
            directions,
            explained,
        })
    }

    /// Dimension of the latent space.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// Coordinates of a point's projection; the origin is `centre`. A point
    /// of another dimension counts as far as it goes.
    #[must_use]
    pub fn project(&self, point: &[f32], centre: &[f32]) -> [f64; 2] {
        let along = |direction: &[f32]| {
            point
                .iter()
                .zip(centre)
                .zip(direction)
                .map(|((&p, &c), &d)| (f64::from(p) - f64::from(c)) * f64::from(d))
                .sum()
        };
        [along(&self.directions[0]), along(&self.directions[1])]
    }

    /// The point of the plane through `centre` with these coordinates.
    #[must_use]
    pub fn point(&self, coordinates: [f64; 2], centre: &[f32]) -> Vec<f32> {
        let [a, b] = coordinates;
        centre
            .iter()
            .zip(&self.directions[0])
            .zip(&self.directions[1])
            .map(|((&c, &u), &v)| (f64::from(c) + a * f64::from(u) + b * f64::from(v)) as f32)
            .collect()
    }
}

/// Mean over the points, per dimension.
fn mean<T: AsRef<[f32]>>(trace: &[T], dimension: usize) -> Vec<f64> {
    let mut mean = vec![0.0; dimension];
    for point in trace {
        for (m, &x) in mean.iter_mut().zip(point.as_ref()) {
            *m += f64::from(x);
        }
    }
    for m in &mut mean {
        *m /= trace.len() as f64;
    }
    mean
}

/// Products of every two centred points, `[n, n]`.
fn gram<T: AsRef<[f32]>>(trace: &[T], mean: &[f64]) -> Vec<f64> {
    let n = trace.len();
    let mut gram = vec![0.0; n * n];
    for i in 0..n {
        let centred: Vec<f64> = trace[i]
            .as_ref()
            .iter()
            .zip(mean)
            .map(|(&x, m)| f64::from(x) - m)
            .collect();
        for j in 0..=i {
            let product: f64 = centred
                .iter()
                .zip(trace[j].as_ref())
                .zip(mean)
                .map(|((a, &b), m)| a * (f64::from(b) - m))
                .sum();
            gram[i * n + j] = product;
            gram[j * n + i] = product;
        }
    }
    gram
}

/// The factor that makes a component follow the convention of
/// [`Plane::directions`], given the points' coordinates along it.
fn sign(coordinates: &[f64]) -> f64 {
    let spread = coordinates.iter().fold(0.0_f64, |s, x| s.max(x.abs()));
    let (first, last) = (coordinates.first(), coordinates.last());
    let displacement = last.unwrap_or(&0.0) - first.unwrap_or(&0.0);
    let decisive = if displacement.abs() > NO_DISPLACEMENT * spread {
        displacement
    } else {
        // Nearly as far counts as far, so that rounding does not choose.
        let far = (1.0 - NO_DISPLACEMENT) * spread;
        *coordinates.iter().find(|x| x.abs() >= far).unwrap_or(&1.0)
    };
    if decisive < 0.0 { -1.0 } else { 1.0 }
}

/// Eigenvalues, largest first, with unit eigenvectors, of a symmetric matrix
/// `[n, n]`; cyclic Jacobi rotations in f64.
pub(crate) fn symmetric_eigen(mut a: Vec<f64>, n: usize) -> Vec<(f64, Vec<f64>)> {
    /// Far more than quadratic convergence ever needs.
    const SWEEPS: usize = 60;
    let mut v = vec![0.0; n * n];
    for i in 0..n {
        v[i * n + i] = 1.0;
    }
    for _ in 0..SWEEPS {
        let square = |i: usize, j: usize| a[i * n + j] * a[i * n + j];
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| square(i, j))
            .sum();
        let diagonal: f64 = (0..n).map(|i| square(i, i)).sum();
        if off <= 1e-30 * diagonal {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut pairs: Vec<(f64, Vec<f64>)> = (0..n)
        .map(|k| (a[k * n + k], (0..n).map(|i| v[i * n + k]).collect()))
        .collect();
    pairs.sort_by(|x, y| y.0.total_cmp(&x.0));
    pairs
}

/// One Jacobi rotation that makes `a[p, q]` zero, also applied to the
/// columns of `v`.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
        let (x, y) = (v[k * n + p], v[k * n + q]);
        v[k * n + p] = c * x - s * y;
        v[k * n + q] = s * x + c * y;
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// A spiral in a known plane of 50 dimensions plus a little noise.
    fn trace(seed: u64, noise: f32) -> (Vec<Vec<f32>>, Vec<f32>, Vec<f32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut u: Vec<f32> = (0..50)
            .map(|i| if i % 2 == 0 { 1.0 } else { 0.0 })
            .collect();
        let mut v: Vec<f32> = (0..50)
            .map(|i| if i % 2 == 1 { 1.0 } else { 0.0 })
            .collect();
        for x in u.iter_mut().chain(&mut v) {
            *x /= 5.0;
        }
        let points = (0..20)
            .map(|t| {
                let t = t as f32;
                let (a, b) = (3.0 * t, 10.0 * (t / 3.0).sin());
                (0..50)
                    .map(|i| 2.0 + a * u[i] + b * v[i] + noise * (rng.random::<f32>() - 0.5))
                    .collect()
            })
            .collect();
        (points, u, v)
    }

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum()
    }

    #[test]
    fn finds_the_plane_of_a_spiral() {
        let (points, u, v) = trace(1, 0.0);
        let plane = Plane::of_trace(&points).unwrap();
        let [d, e] = &plane.directions;
        assert!((dot(d, d) - 1.0).abs() < 1e-5 && dot(d, e).abs() < 1e-5);
        // Both lie in the plane of u and v, and nothing is left outside.
        for direction in [d, e] {
            let inside = dot(direction, &u).powi(2) + dot(direction, &v).powi(2);
            assert!((inside - 1.0).abs() < 1e-4, "{inside}");
        }
        assert!((plane.explained.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(plane.explained[0] > plane.explained[1]);
        // Projecting and coming back is the identity on the plane.
        let centre = &points[7];
        for point in &points {
            let back = plane.point(plane.project(point, centre), centre);
            assert!(back.iter().zip(point).all(|(a, b)| (a - b).abs() < 1e-3));
        }
    }

    #[test]
    fn signs_do_not_depend_on_rounding_or_on_the_frame() {
        let (points, ..) = trace(1, 0.0);
        let plane = Plane::of_trace(&points).unwrap();
        let (first, last) = (&points[0], &points[19]);
        let [x, y] = plane.project(last, first);
        assert!(x > 0.0 && y > 0.0, "{x} {y}");
        let (noisy, ..) = trace(9, 1e-3);
        let other = Plane::of_trace(&noisy).unwrap();
        for (a, b) in plane.directions.iter().zip(&other.directions) {
            assert!(dot(a, b) > 0.999);
        }
        // A mirrored world: coordinates stay, directions turn around.
        let mirrored: Vec<Vec<f32>> = points
            .iter()
            .map(|p| p.iter().map(|x| -x).collect())
            .collect();
        let mirror = Plane::of_trace(&mirrored).unwrap();
        for (p, m) in points.iter().zip(&mirrored) {
            let (a, b) = (plane.project(p, first), mirror.project(m, &mirrored[0]));
            assert!((a[0] - b[0]).abs() < 1e-3 && (a[1] - b[1]).abs() < 1e-3);
        }
        // A closed loop: the farthest point decides.
        let mut closed = points.clone();
        closed.extend(points.iter().rev().cloned());
        let plane = Plane::of_trace(&closed).unwrap();
        let coordinates: Vec<f64> = closed
            .iter()
            .map(|p| plane.project(p, &plane.mean)[0])
            .collect();
        let farthest =
            coordinates.iter().fold(
                0.0_f64,
                |f, x| if x.abs() > f.abs() + 1e-2 { *x } else { f },
            );
        assert!(farthest > 0.0);
    }

    #[test]
    fn degenerate_traces() {
        assert!(Plane::of_trace::<Vec<f32>>(&[]).is_none());
        assert!(Plane::of_trace(&[vec![1.0_f32; 4]]).is_none());
        assert!(Plane::of_trace(&vec![vec![1.0_f32; 4]; 5]).is_none());
        assert!(Plane::of_trace(&[vec![1.0_f32; 4], vec![1.0; 3]]).is_none());
        let line: Vec<Vec<f32>> = (0..5)
            .map(|t| vec![t as f32, 0.0, 2.0 * t as f32])
            .collect();
        let plane = Plane::of_trace(&line).unwrap();
        assert!((plane.explained[0] - 1.0).abs() < 1e-12);
        assert_eq!(plane.directions[1], vec![0.0; 3]);
    }

    #[test]
    fn eigenpairs_of_a_known_matrix() {
        // Eigenvalues of the 1-2-1 matrix: 2 - 2 cos(k pi / (n + 1)).
        let n = 12;
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            a[i * n + i] = 2.0;
            if i + 1 < n {
                a[i * n + i + 1] = -1.0;
                a[(i + 1) * n + i] = -1.0;
            }
        }
        for (k, (value, vector)) in symmetric_eigen(a, n).iter().enumerate() {
            let angle = (n - k) as f64 * std::f64::consts::PI / (n + 1) as f64;
            assert!((value - (2.0 - 2.0 * angle.cos())).abs() < 1e-12);
            let norm: f64 = vector.iter().map(|x| x * x).sum();
            assert!((norm - 1.0).abs() < 1e-12);
        }
    }
}
