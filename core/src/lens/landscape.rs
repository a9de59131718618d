//! The error landscape around a state, after the reference's figure
//! (arXiv 2601.10679): E of the answer read off every point of a square grid
//! on the principal plane, and where one further segment takes the point.
//!
//! [`Landscape`] plans the grid from coarse to fine and keeps what is known.
//! A caller with any engine asks for a batch of points, reads the answer off
//! each state, runs one segment from it, and reports both back:
//!
//! 1. [`Landscape::next_batch`] gives indices of points, at most as many as
//!    asked for; none means that the picture is complete;
//! 2. [`Landscape::state`] is the `z_H` of a point; its `z_L` is always
//!    [`Landscape::centre_l`];
//! 3. [`Landscape::record`] takes E and the `z_H` after one segment.

use serde::{Deserialize, Serialize};

use super::pca::Plane;

/// How a landscape is sampled. The default is the reference's figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandscapeOptions {
    /// The grid runs from `-half` to `half` both ways.
    pub half: usize,
    /// Distance of neighbouring points, in units of
    /// `sqrt(positions * hidden)`, the norm of a normalised state.
    pub spacing: f64,
    /// E is shown up to here.
    pub clip: u32,
}

impl Default for LandscapeOptions {
    fn default() -> Self {
        Self {
            half: 20,
            spacing: 1.0 / 8.0,
            clip: 40,
        }
    }
}

/// What is known of one point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// E of the answer read off the point itself, not clipped.
    pub conflicts: u32,
    /// Where one further segment takes it: coordinates on the plane, in grid
    /// steps from the centre.
    pub lands: [f64; 2],
}

/// A landscape in the making. Points are numbered row by row from
/// `(-half, -half)`; the first coordinate (along the first component) is the
/// fast one.
#[derive(Debug, Clone)]
pub struct Landscape {
    plane: Plane,
    centre_h: Vec<f32>,
    centre_l: Vec<f32>,
    options: LandscapeOptions,
    step: f64,
    samples: Vec<Option<Sample>>,
    /// Points in the order of computation, and how many have been handed out.
    order: Vec<u32>,
    handed_out: usize,
}

impl Landscape {
    /// A landscape on `plane`, moved to pass through `centre_h`. Both states
    /// are `[positions * hidden]`.
    #[must_use]
    pub fn new(
        plane: Plane,
        centre_h: Vec<f32>,
        centre_l: Vec<f32>,
        options: LandscapeOptions,
    ) -> Self {
        let side = 2 * options.half + 1;
        Self {
            step: options.spacing * (centre_h.len() as f64).sqrt(),
            plane,
            centre_h,
            centre_l,
            options,
            samples: vec![None; side * side],
            order: coarse_to_fine(options.half),
            handed_out: 0,
        }
    }

    /// How it is sampled.
    #[must_use]
    pub fn options(&self) -> LandscapeOptions {
        self.options
    }

    /// The plane.
    #[must_use]
    pub fn plane(&self) -> &Plane {
        &self.plane
    }

    /// Points along one side.
    #[must_use]
    pub fn side(&self) -> usize {
        2 * self.options.half + 1
    }

    /// Grid coordinates of a point, in steps from the centre.
    #[must_use]
    pub fn coordinates(&self, point: usize) -> [i32; 2] {
        let (side, half) = (self.side(), self.options.half as i32);
        [(point % side) as i32 - half, (point / side) as i32 - half]
    }

    /// Grid coordinates, in steps, of any state's projection.
    #[must_use]
    pub fn project(&self, z_h: &[f32]) -> [f64; 2] {
        self.plane
            .project(z_h, &self.centre_h)
            .map(|x| x / self.step)
    }

    /// The next points to compute, at most `most`, coarse before fine; empty
    /// when all have been handed out.
    pub fn next_batch(&mut self, most: usize) -> Vec<usize> {
        let end = (self.handed_out + most).min(self.order.len());
        let batch = self.order[self.handed_out..end]
            .iter()
            .map(|&p| p as usize)
            .collect();
        self.handed_out = end;
        batch
    }

    /// `z_H` of a point.
    #[must_use]
    pub fn state(&self, point: usize) -> Vec<f32> {
        let at = self.coordinates(point).map(|c| f64::from(c) * self.step);
        self.plane.point(at, &self.centre_h)
    }

    /// `z_L` of every point.
    #[must_use]
    pub fn centre_l(&self) -> &[f32] {
        &self.centre_l
    }

    /// Keeps what was computed for a point: E of the answer read off it, and
    /// the `z_H` that one further segment makes of it. A point beyond the
    /// grid is ignored.
    pub fn record(&mut self, point: usize, conflicts: u32, after: &[f32]) {
        let lands = self.project(after);
        if let Some(sample) = self.samples.get_mut(point) {
            *sample = Some(Sample { conflicts, lands });
        }
    }

    /// Every point, as far as it is known.
    #[must_use]
    pub fn samples(&self) -> &[Option<Sample>] {
        &self.samples
    }

    /// How many points are known, and how many there are.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        let known = self.samples.iter().flatten().count();
        (known, self.samples.len())
    }

    /// Every point for a picture of the present state: where nothing is known
    /// yet, the nearest known point of the next coarser grid stands in.
    #[must_use]
    pub fn preview(&self) -> Vec<Option<Sample>> {
        (0..self.samples.len())
            .map(|point| {
                self.samples[point].or_else(|| {
                    strides(self.options.half)
                        .rev()
                        .find_map(|stride| self.samples[self.snapped(point, stride)])
                })
            })
            .collect()
    }

    /// The point of the grid of `stride` nearest to a point.
    fn snapped(&self, point: usize, stride: i32) -> usize {
        let half = self.options.half as i32;
        let [i, j] = self.coordinates(point).map(|c| {
            // Towards the centre beyond the outermost line.
            let most = half - half % stride;
            ((c + c.signum() * (stride / 2)) / stride * stride).clamp(-most, most)
        });
        (j + half) as usize * self.side() + (i + half) as usize
    }
}

/// Strides of the grids, coarse to fine: the powers of two up to `half / 2`.
fn strides(half: usize) -> impl DoubleEndedIterator<Item = i32> {
    let coarsest = (half / 2).max(1).ilog2();
    (0..=coarsest).rev().map(|k| 1 << k)
}

/// Every point, those of coarse grids first, in each grid from the centre
/// outwards.
fn coarse_to_fine(half: usize) -> Vec<u32> {
    let (h, side) = (half as i32, 2 * half as i32 + 1);
    let mut order = Vec::with_capacity((side * side) as usize);
    let mut seen = vec![false; (side * side) as usize];
    for stride in strides(half) {
        let mut ring: Vec<(i32, i32, i32)> = (-h..=h)
            .flat_map(|j| (-h..=h).map(move |i| (i * i + j * j, j, i)))
            .filter(|(_, j, i)| j % stride == 0 && i % stride == 0)
            .collect();
        ring.sort_unstable();
        for (_, j, i) in ring {
            let point = (j + h) * side + i + h;
            if !std::mem::replace(&mut seen[point as usize], true) {
                order.push(point as u32);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane() -> Plane {
        Plane {
            mean: vec![0.0; 4],
            directions: [vec![1.0, 0.0, 0.0, 0.0], vec![0.0, 0.0, 1.0, 0.0]],
            explained: [0.6, 0.4],
        }
    }

    fn landscape(half: usize) -> Landscape {
        let options = LandscapeOptions {
            half,
            ..LandscapeOptions::default()
        };
        Landscape::new(plane(), vec![1.0, 2.0, 3.0, 4.0], vec![5.0; 4], options)
    }

    #[test]
    fn the_default_is_the_reference_figure() {
        let mut l = landscape(LandscapeOptions::default().half);
        assert_eq!((l.side(), l.options().clip), (41, 40));
        // Steps of sqrt(4) / 8 along the two directions.
        let corner = l.state(0);
        assert_eq!(corner, [1.0 - 20.0 * 0.25, 2.0, 3.0 - 20.0 * 0.25, 4.0]);
        assert_eq!(l.state(41 * 41 / 2), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(l.project(&corner), [-20.0, -20.0]);
        assert_eq!(l.next_batch(1), [41 * 41 / 2], "the centre comes first");
    }

    #[test]
    fn every_point_is_handed_out_once_and_coarse_ones_first() {
        for half in [0, 1, 2, 3, 5, 20] {
            let mut l = landscape(half);
            let mut all = Vec::new();
            loop {
                let batch = l.next_batch(7);
                if batch.is_empty() {
                    break;
                }
                all.extend(batch);
            }
            assert_eq!(all.len(), l.side() * l.side());
            if half == 20 {
                // Stride 8: -16, -8, 0, 8, 16.
                assert!(
                    all[..25]
                        .iter()
                        .all(|&p| { l.coordinates(p).iter().all(|c| c % 8 == 0) })
                );
            }
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), l.side() * l.side(), "half {half}");
        }
    }

    #[test]
    fn a_preview_fills_the_picture_from_the_coarse_grid() {
        let mut l = landscape(20);
        assert!(l.preview().iter().all(Option::is_none));
        for point in l.next_batch(25) {
            let after = l.state(point);
            l.record(point, point as u32, &after);
        }
        assert_eq!(l.progress(), (25, 1681));
        let preview = l.preview();
        assert!(preview.iter().all(Option::is_some));
        // (-20, -20) borrows from (-16, -16); (3, -5) from (0, -8).
        let at = |i: i32, j: i32| ((j + 20) * 41 + i + 20) as usize;
        assert_eq!(
            preview[at(-20, -20)].unwrap().conflicts,
            at(-16, -16) as u32
        );
        assert_eq!(preview[at(3, -5)].unwrap().conflicts, at(0, -8) as u32);
        let sample = preview[at(8, 16)].unwrap();
        assert_eq!(sample.lands, [8.0, 16.0]);
    }
}
