//! The states at which a recurrence rests, found from many starts.

use serde::{Deserialize, Serialize};

use crate::reason::Proportion;

/// A state counts as fixed if no element of it moves by more than this, in
/// the root mean square, in one segment (z_H and z_L each).
pub const FIXED: f64 = 1e-3;

/// Two resting states are one fixed point if they are closer than this, in
/// root mean square over elements; states are normalised to about 1.
pub const SAME: f64 = 0.1;

/// Where one start has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// Whether it came to rest ([`FIXED`]).
    pub rests: bool,
    /// The state there, `[dimension]`.
    pub state: Vec<f32>,
}

/// A fixed point and the starts that ended in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FixedPoint {
    /// The start whose end stands for it: the first one that came there.
    pub representative: usize,
    /// All the starts that ended in it.
    pub members: Vec<usize>,
    /// Share of all starts: the volume of its basin under the distribution
    /// that starts are drawn from, by Monte Carlo.
    pub basin: Proportion,
}

/// Groups the ends of starts into fixed points, the largest basin first, and
/// returns with them the share of starts that came to rest nowhere. An end
/// belongs to the first point whose representative is within [`SAME`].
#[must_use]
pub fn fixed_points(ends: &[End]) -> (Vec<FixedPoint>, Proportion) {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (i, end) in ends.iter().enumerate().filter(|(_, e)| e.rests) {
        let known = groups
            .iter_mut()
            .find(|g| distance(&ends[g[0]].state, &end.state) < SAME);
        match known {
            Some(group) => group.push(i),
            None => groups.push(vec![i]),
        }
    }
    groups.sort_by_key(|g| (std::cmp::Reverse(g.len()), g[0]));
    let n = ends.len();
    let restless = ends.iter().filter(|e| !e.rests).count();
    let points = groups
        .into_iter()
        .map(|members| FixedPoint {
            representative: members[0],
            basin: Proportion::new(members.len(), n),
            members,
        })
        .collect();
    (points, Proportion::new(restless, n))
}

/// Root mean square difference of two states.
#[must_use]
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    let sum: f64 = a
        .iter()
        .zip(b)
        .map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2))
        .sum();
    (sum / a.len().max(1) as f64).sqrt()
}

/// The pair of states at which a map's derivative along a unit direction is
/// taken by central differences, and the divisor for the difference of their
/// images. The step is a thousandth of the state's norm: far above rounding
/// in f32, small against the curvature of the blocks.
#[must_use]
pub fn probes(state: &[f32], direction: &[f64]) -> (Vec<f32>, Vec<f32>, f64) {
    const STEP: f64 = 1e-3;
    let norm = state
        .iter()
        .map(|&x| f64::from(x).powi(2))
        .sum::<f64>()
        .sqrt();
    let step = STEP * norm.max(f64::MIN_POSITIVE);
    let probe = |sign: f64| -> Vec<f32> {
        state
            .iter()
            .zip(direction)
            .map(|(&x, d)| (f64::from(x) + sign * step * d) as f32)
            .collect()
    };
    (probe(1.0), probe(-1.0), 2.0 * step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::spectrum::arnoldi;
    use std::convert::Infallible;

    fn end(rests: bool, x: f32) -> End {
        End {
            rests,
            state: vec![x, -x, 0.5],
        }
    }

    #[test]
    fn ends_fall_into_points_and_the_restless() {
        let ends = [
            end(true, 1.0),
            end(true, 0.0),
            end(false, 0.0),
            end(true, 0.01),
            end(true, -0.02),
        ];
        let (points, restless) = fixed_points(&ends);
        let members: Vec<_> = points.iter().map(|p| p.members.clone()).collect();
        assert_eq!(members, [vec![1, 3, 4], vec![0]]);
        assert_eq!((points[0].basin.successes, points[0].basin.n), (3, 5));
        assert_eq!((restless.successes, restless.n), (1, 5));
        assert!(fixed_points(&[]).0.is_empty());
    }

    /// A map with two attractors of known basins and derivatives: the sign
    /// of x decides, and x -> x - 0.3 x (x^2 - 1) has slope 0.4 at +-1.
    #[test]
    fn attractors_of_a_known_map() {
        let map =
            |v: &[f32]| -> Vec<f32> { vec![v[0] - 0.3 * v[0] * (v[0] * v[0] - 1.0), 0.5 * v[1]] };
        let ends: Vec<End> = (0..40)
            .map(|i| {
                let mut state = vec![-1.43 + 0.05 * i as f32, 1.0];
                for _ in 0..60 {
                    state = map(&state);
                }
                End {
                    rests: distance(&map(&state), &state) < FIXED,
                    state,
                }
            })
            .collect();
        let (points, restless) = fixed_points(&ends);
        assert_eq!(restless.successes, 0);
        let sizes: Vec<usize> = points.iter().map(|p| p.members.len()).collect();
        assert_eq!(sizes, [29, 11]);
        for point in &points {
            let at = &ends[point.representative].state;
            let values = arnoldi(&[0.6, 0.8], 2, |v| {
                let (plus, minus, divisor) = probes(at, v);
                let (a, b) = (map(&plus), map(&minus));
                Ok::<_, Infallible>(
                    a.iter()
                        .zip(&b)
                        .map(|(&a, &b)| (f64::from(a) - f64::from(b)) / divisor)
                        .collect(),
                )
            })
            .unwrap();
            assert!((values[0].re - 0.5).abs() < 1e-3, "{values:?}");
            assert!((values[1].re - 0.4).abs() < 1e-3, "{values:?}");
        }
    }
}
