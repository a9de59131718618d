//! A grid of values as a surface that one can turn: projected here, drawn by
//! whoever can fill polygons.

/// Pictures show the unit of [`Camera::project`] as this share of their width.
pub const ZOOM: f64 = 0.5;

/// E is told apart up to here.
pub const TOP: u32 = 40;

/// From where one looks. Angles are kept as their sine and cosine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Turn around the vertical.
    pub turn: [f64; 2],
    /// Height above the horizon: [0, 1] from the side, [1, 0] from above.
    pub tilt: [f64; 2],
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            turn: [-0.56, 0.8285],
            tilt: [0.68, 0.7332],
        }
    }
}

/// Least and greatest sine of the tilt.
const TILTS: (f64, f64) = (0.1, 0.997);

/// An angle turned on by about `by` radians; exact and without tables where
/// steps are small.
fn turned([sin, cos]: [f64; 2], by: f64) -> [f64; 2] {
    let half = by.clamp(-1.0, 1.0) / 2.0;
    let whole = 1.0 + half * half;
    let (s, c) = (2.0 * half / whole, (1.0 - half * half) / whole);
    let (sin, cos) = (sin * c + cos * s, cos * c - sin * s);
    // Keeps rounding from adding up.
    let length = (sin * sin + cos * cos).sqrt();
    [sin / length, cos / length]
}

impl Camera {
    /// Turned and tilted further; never below the horizon or over the top.
    #[must_use]
    pub fn moved(self, turn: f64, tilt: f64) -> Self {
        let [sin, cos] = turned(self.tilt, tilt);
        let sin = if cos > 0.0 { sin } else { TILTS.1 };
        let sin = sin.clamp(TILTS.0, TILTS.1);
        Self {
            turn: turned(self.turn, turn),
            tilt: [sin, (1.0 - sin * sin).sqrt()],
        }
    }

    /// Rows of the map to the clip space of a picture of that size: to the
    /// right, up, away. What [`Camera::project`] places a width from the
    /// middle is [`ZOOM`] widths from it.
    #[must_use]
    pub fn clip(self, [width, height]: [u32; 2]) -> [[f32; 4]; 3] {
        let ([sin, cos], [up, level]) = (self.turn, self.tilt);
        let wide = 2.0 * ZOOM;
        let high = wide * f64::from(width) / f64::from(height.max(1));
        // Depths are within 1.25 of the middle.
        let deep = 0.4;
        [
            [wide * cos, -wide * sin, 0.0, 0.0],
            [high * up * sin, high * up * cos, high * level, 0.0],
            [deep * level * sin, deep * level * cos, -deep * up, 0.5],
        ]
        .map(|row| row.map(|x| x as f32))
    }

    /// Where a point appears, and how far it is: `x` to the right and `y`
    /// down, both about -1 to 1 for a cube of side 1 around the origin, and
    /// the depth, larger being farther. Parallel projection.
    #[must_use]
    pub fn project(self, [x, y, z]: [f64; 3]) -> ([f64; 2], f64) {
        let ([sin, cos], [up, level]) = (self.turn, self.tilt);
        let (right, away) = (cos * x - sin * y, sin * x + cos * y);
        ([right, -(level * z + up * away)], level * away - up * z)
    }
}

/// A quadrilateral of the surface as it appears.
#[derive(Debug, Clone, PartialEq)]
pub struct Facet {
    /// Its corners, in [`Camera::project`]'s units.
    pub corners: [[f64; 2]; 4],
    /// Mean of the values at its corners.
    pub value: f32,
    depth: f64,
}

/// The facets of a surface over the unit square, farthest first. `values` is
/// `[side, side]`, the first coordinate being the fast one; `top` is the
/// value at the full height of a half, larger ones are cut off. Facets with an
/// unknown corner are left out.
#[must_use]
pub fn facets(values: &[Option<u32>], side: usize, top: u32, camera: Camera) -> Vec<Facet> {
    if side < 2 || values.len() != side * side {
        return Vec::new();
    }
    let height = |value: u32| 0.5 * f64::from(value.min(top)) / f64::from(top.max(1)) - 0.25;
    let place = |i: usize| i as f64 / (side - 1) as f64 - 0.5;
    let mut facets = Vec::with_capacity((side - 1) * (side - 1));
    for row in 0..side - 1 {
        for column in 0..side - 1 {
            let around = [
                (row, column),
                (row, column + 1),
                (row + 1, column + 1),
                (row + 1, column),
            ];
            let known = around.map(|(r, c)| values[r * side + c]);
            let [Some(a), Some(b), Some(c), Some(d)] = known else {
                continue;
            };
            let mut depth = 0.0;
            let mut corners = [[0.0; 2]; 4];
            for (corner, ((r, c), value)) in
                corners.iter_mut().zip(around.into_iter().zip([a, b, c, d]))
            {
                let (at, far) = camera.project([place(c), place(r), height(value)]);
                *corner = at;
                depth += far / 4.0;
            }
            let mean = [a, b, c, d].map(|v| v.min(top) as f32).iter().sum::<f32>() / 4.0;
            facets.push(Facet {
                corners,
                value: mean,
                depth,
            });
        }
    }
    facets.sort_unstable_by(|a, b| b.depth.total_cmp(&a.depth));
    facets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The camera at these angles.
    fn camera(turn: f64, tilt: f64) -> Camera {
        let pair = |angle: f64| [angle.sin(), angle.cos()];
        Camera {
            turn: pair(turn),
            tilt: pair(tilt),
        }
    }

    #[test]
    fn looking_from_above_and_from_the_side() {
        let above = camera(0.0, std::f64::consts::FRAC_PI_2);
        let ([x, y], _) = above.project([0.25, 0.5, 9.0]);
        assert!(
            (x - 0.25).abs() < 1e-12 && (y + 0.5).abs() < 1e-9,
            "{x} {y}"
        );
        let aside = camera(0.0, 0.0);
        let ([x, y], depth) = aside.project([0.25, 0.5, 0.3]);
        assert!((x - 0.25).abs() < 1e-12 && (y + 0.3).abs() < 1e-12);
        assert!((depth - 0.5).abs() < 1e-12, "what is behind is farther");
        let turned = camera(std::f64::consts::FRAC_PI_2, 0.0);
        let ([x, _], depth) = turned.project([0.0, 0.5, 0.0]);
        assert!((x + 0.5).abs() < 1e-12 && depth.abs() < 1e-12);
        let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs() < 1e-3;
        let mut moving = camera(0.3, 0.5);
        for _ in 0..10 {
            moving = moving.moved(-0.08, 0.05);
        }
        let there = camera(-0.5, 1.0);
        assert!(near(moving.turn, there.turn), "{moving:?}");
        assert!((moving.tilt[0] - there.tilt[0]).abs() < 2e-3, "{moving:?}");
        for _ in 0..40 {
            moving = moving.moved(0.0, 0.1);
        }
        assert_eq!(moving.tilt[0], TILTS.1, "never over the top");
        for _ in 0..40 {
            moving = moving.moved(0.0, -0.1);
        }
        assert_eq!(moving.tilt[0], TILTS.0, "nor below the horizon");
    }

    #[test]
    fn clip_space_is_the_projection_to_scale() {
        let camera = camera(0.4, 0.7);
        let rows = camera.clip([900, 600]);
        for point in [[0.5, 0.5, 0.25], [-0.5, 0.25, -0.25], [0.0, 0.0, 0.0]] {
            let ([x, y], depth) = camera.project(point);
            let found = rows.map(|row| {
                let terms = row.iter().zip(point).map(|(&a, b)| f64::from(a) * b);
                terms.sum::<f64>() + f64::from(row[3])
            });
            let expected = [2.0 * ZOOM * x, -3.0 * ZOOM * y, 0.5 + 0.4 * depth];
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
            assert!((0.0..1.0).contains(&found[2]), "{found:?}");
        }
    }

    #[test]
    fn facets_come_from_the_back() {
        let values: Vec<Option<u32>> = (0..9).map(Some).collect();
        let found = facets(&values, 3, 8, camera(0.0, 0.2));
        assert_eq!(found.len(), 4);
        assert!(found.windows(2).all(|w| w[0].depth >= w[1].depth));
        assert_eq!(
            found[3].value.min(found[2].value),
            2.0,
            "the first row is in front"
        );
        let mut gap = values;
        gap[0] = None;
        assert_eq!(facets(&gap, 3, 8, Camera::default()).len(), 3);
        assert!(facets(&gap, 2, 8, Camera::default()).is_empty());
        // Beyond the top nothing grows.
        let flat = facets(&[Some(50); 4], 2, 40, Camera::default());
        assert_eq!(flat[0].value, 40.0);
    }
}
