//! Drawing: colours that people with any colour vision can tell apart, heat
//! maps as a few paths, and contour lines.

use std::fmt::Write as _;

/// The map `cividis` (Nuñez, Anderton and Renslow 2018), which looks the same
/// with and without red-green blindness: nine of its colours, evenly spaced.
const CIVIDIS: [[u8; 3]; 9] = [
    [0, 32, 77],
    [0, 52, 110],
    [57, 72, 107],
    [87, 92, 109],
    [112, 113, 115],
    [138, 134, 120],
    [166, 157, 117],
    [197, 181, 106],
    [255, 234, 70],
];

/// A colour for a value between 0 (dark blue) and 1 (yellow), as `#rrggbb`.
#[must_use]
pub fn colour(value: f32) -> String {
    let at = value.clamp(0.0, 1.0) * (CIVIDIS.len() - 1) as f32;
    let low = (at as usize).min(CIVIDIS.len() - 2);
    let share = at - low as f32;
    let mut text = String::from("#");
    for (a, b) in CIVIDIS[low].iter().zip(CIVIDIS[low + 1]) {
        let mixed = f32::from(*a) + share * (f32::from(b) - f32::from(*a));
        // Writing to a string can't fail.
        let _ = write!(text, "{:02x}", mixed.round() as u8);
    }
    text
}

/// Evenly spaced colours of [`colour`] from 0 to 1, with what is between them
/// in a straight line; red, green and blue from 0 to 1.
#[must_use]
pub fn palette() -> [[f32; 3]; 9] {
    CIVIDIS.map(|colour| colour.map(|part| f32::from(part) / 255.0))
}

/// Ends of basins, told apart by colour and named by letter (after Okabe and
/// Ito).
const ENDS: [&str; 7] = [
    "#0072b2", "#e69f00", "#56b4e9", "#d55e00", "#cc79a7", "#f0e442", "#8c8c8c",
];

/// Ends that have a colour of their own; the others share the last one.
pub const APART: usize = ENDS.len() - 1;

/// A colour for the end of that rank; a right answer is always green.
#[must_use]
pub fn end_colour(index: usize, solved: bool) -> &'static str {
    if solved {
        "#009e73"
    } else {
        ENDS[index.min(ENDS.len() - 1)]
    }
}

/// One path a value: squares of side `2 * half` around points, grouped, so
/// that a map of thousands of points is a few elements. Points are `(x, y,
/// half, value)` in the drawing's units.
#[must_use]
pub fn squares(points: impl IntoIterator<Item = (f64, f64, f64, u32)>) -> Vec<(u32, String)> {
    // In the order of the values, of which there are few.
    let mut paths: Vec<(u32, String)> = Vec::new();
    for (x, y, half, value) in points {
        let at = match paths.binary_search_by_key(&value, |path| path.0) {
            Ok(at) => at,
            Err(at) => {
                paths.insert(at, (value, String::new()));
                at
            }
        };
        let side = 2.0 * half;
        let _ = write!(
            paths[at].1,
            "M{:.1} {:.1}h{side:.1}v{side:.1}h-{side:.1}z",
            x - half,
            y - half
        );
    }
    paths
}

/// Line segments where a function on a grid crosses `level`, by marching
/// squares. `values` is `[rows, columns]`, row-major, with gaps where nothing
/// is known; ends are `(column, row)` in grid units.
#[must_use]
pub fn contour(values: &[Option<f32>], columns: usize, level: f32) -> Vec<[(f32, f32); 2]> {
    let mut lines = Vec::new();
    if columns < 2 {
        return lines;
    }
    let rows = values.len() / columns;
    for row in 0..rows.saturating_sub(1) {
        for column in 0..columns - 1 {
            let at = |r: usize, c: usize| values[r * columns + c];
            let corners = [
                at(row, column),
                at(row, column + 1),
                at(row + 1, column + 1),
                at(row + 1, column),
            ];
            let [Some(a), Some(b), Some(c), Some(d)] = corners else {
                continue;
            };
            let (x, y) = (column as f32, row as f32);
            let cut = |from: f32, to: f32| (level - from) / (to - from);
            // Crossings of the sides, clockwise from the upper one.
            let mut crossings = Vec::with_capacity(4);
            if (a < level) != (b < level) {
                crossings.push((x + cut(a, b), y));
            }
            if (b < level) != (c < level) {
                crossings.push((x + 1.0, y + cut(b, c)));
            }
            if (c < level) != (d < level) {
                crossings.push((x + 1.0 - cut(c, d), y + 1.0));
            }
            if (d < level) != (a < level) {
                crossings.push((x, y + 1.0 - cut(d, a)));
            }
            // At a saddle the pairs are a choice; either is a contour.
            for pair in crossings.chunks_exact(2) {
                lines.push([pair[0], pair[1]]);
            }
        }
    }
    lines
}

/// A polyline through points.
#[must_use]
pub fn line(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (i, (x, y)) in points.into_iter().enumerate() {
        let command = if i == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{x:.1} {y:.1}");
    }
    path
}

/// A number a person would end an axis with: the next of 1, 2, 5 times a
/// power of ten, not below `value`.
#[must_use]
pub fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|&end| end >= value * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_from_blue_to_yellow() {
        assert_eq!(colour(-1.0), "#00204d");
        assert_eq!(colour(0.0), "#00204d");
        assert_eq!(colour(0.5), "#707173");
        assert_eq!(colour(1.0), "#ffea46");
        assert_eq!(colour(f32::NAN).len(), 7);
        // Light grows all along, so that the map reads in grey too.
        let light = |v: f32| {
            let c = colour(v);
            let part = |i: usize| f32::from(u8::from_str_radix(&c[i..i + 2], 16).unwrap());
            0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
        };
        assert!((0..40).all(|i| light(i as f32 / 40.0) < light((i + 1) as f32 / 40.0)));
        assert_eq!(end_colour(99, true), "#009e73");
        assert_eq!(end_colour(99, false), end_colour(6, false));
    }

    #[test]
    fn squares_are_grouped_by_value() {
        let paths = squares([(1.0, 1.0, 0.5, 7), (2.0, 1.0, 0.5, 3), (3.0, 1.0, 0.5, 7)]);
        assert_eq!(paths.len(), 2);
        assert_eq!(paths[0], (3, "M1.5 0.5h1.0v1.0h-1.0z".to_owned()));
        assert_eq!(paths[1].1.matches('M').count(), 2);
    }

    #[test]
    fn contours_cut_where_the_level_is() {
        // A ramp from 0 to 2 along columns.
        let values: Vec<Option<f32>> = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0].map(Some).to_vec();
        let lines = contour(&values, 3, 0.5);
        assert_eq!(lines, [[(0.5, 0.0), (0.5, 1.0)]]);
        assert!(contour(&values, 3, 5.0).is_empty());
        let mut gap = values;
        gap[0] = None;
        assert!(contour(&gap, 3, 0.5).is_empty());
        // A peak is a closed ring of four pieces.
        let mut peak = vec![Some(0.0); 9];
        peak[4] = Some(1.0);
        assert_eq!(contour(&peak, 3, 0.5).len(), 4);
    }

    #[test]
    fn axes_end_on_round_numbers() {
        for (value, end) in [
            (0.0, 1.0),
            (0.3, 0.5),
            (1.0, 1.0),
            (7.0, 10.0),
            (201.0, 500.0),
        ] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}");
        }
        assert_eq!(line([(0.0, 1.0), (2.0, 3.0)]), "M0.0 1.0L2.0 3.0");
    }
}
