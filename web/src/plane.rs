//! The latent plane, drawn: landscape, basins, and the runs on it.

use hrm_core::reason::lab::{Arrow, BasinEnd, GridMap, LinePoint, Track};

use crate::draw::{Anchor, Drawing};
use crate::plot::{APART, colour, contour, end_colour, line, squares};

/// Side of the drawing in its own units.
pub const SIZE: f64 = 600.0;
/// E is told apart up to here, as in the reference's figure.
pub const CLIP: u32 = 40;
/// E of the contour lines.
const LEVELS: [f32; 3] = [4.5, 12.5, 24.5];
/// Length of an arrow at most: directions are what matters, and long ones
/// would hide each other.
const ARROW: f64 = 34.0;

/// Points of a run that are marked: more of them would hide its line.
const MARKED: usize = 200;

/// The square of the plane that is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    centre: [f64; 2],
    half: f64,
}

impl Window {
    /// The square of a map; without one, a square around all tracks.
    #[must_use]
    pub fn of(tracks: &[Track], map: Option<&GridMap>) -> Self {
        if let Some(map) = map {
            return Self {
                centre: map.centre.map(f64::from),
                half: f64::from(map.step) * map.side as f64 / 2.0,
            };
        }
        let mut low = [f64::INFINITY; 2];
        let mut high = [f64::NEG_INFINITY; 2];
        for point in tracks.iter().flat_map(|track| &track.points) {
            for k in 0..2 {
                let x = f64::from(point[k]);
                if x.is_finite() {
                    low[k] = low[k].min(x);
                    high[k] = high[k].max(x);
                }
            }
        }
        if low[0] > high[0] || low[1] > high[1] {
            return Self {
                centre: [0.0; 2],
                half: 10.0,
            };
        }
        let width = (high[0] - low[0]).max(high[1] - low[1]).max(1.0);
        Self {
            centre: [0, 1].map(|k| (low[k] + high[k]) / 2.0),
            half: 0.58 * width,
        }
    }

    /// The drawing's coordinates of a point; the second axis goes up.
    #[must_use]
    pub fn place(&self, p: [f32; 2]) -> (f64, f64) {
        let scale = SIZE / (2.0 * self.half);
        (
            SIZE / 2.0 + (f64::from(p[0]) - self.centre[0]) * scale,
            SIZE / 2.0 - (f64::from(p[1]) - self.centre[1]) * scale,
        )
    }

    /// The point of the plane at the drawing's coordinates.
    #[must_use]
    pub fn point(&self, x: f64, y: f64) -> [f32; 2] {
        let scale = 2.0 * self.half / SIZE;
        [
            (self.centre[0] + (x - SIZE / 2.0) * scale) as f32,
            (self.centre[1] - (y - SIZE / 2.0) * scale) as f32,
        ]
    }
}

/// E as colours, contours, and arrows to where one segment leads.
#[must_use]
pub fn landscape(map: &GridMap, arrows: &[Arrow], window: Window) -> String {
    let mut d = Drawing::new();
    for (e, path) in heat(map, window, |e| e.min(CLIP)) {
        d.filled(&colour(e as f32 / CLIP as f32), &path);
    }
    let values: Vec<Option<f32>> = map.values.iter().map(|v| v.map(|v| v as f32)).collect();
    for level in LEVELS {
        let path: String = contour(&values, map.side, level)
            .into_iter()
            .map(|ends| line(ends.map(|(column, row)| at(map, window, column, row))))
            .collect();
        d.path("contour", &path);
    }
    let flow: String = arrows
        .iter()
        .map(|a| arrow(window.place(a.from), window.place(a.to)))
        .collect();
    d.path("flow", &flow);
    d.svg()
}

/// The end that takes each point, as colours.
#[must_use]
pub fn basins(map: &GridMap, ends: &[BasinEnd], window: Window) -> String {
    let shares = basin_shares(map, ends);
    let mut d = Drawing::new();
    for (end, path) in heat(map, window, |end| end) {
        let share = shares.iter().find(|share| share.end == end as usize);
        d.filled(share.map_or("none", |share| share.colour), &path);
    }
    d.svg()
}

/// What one end takes of the plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasinShare {
    /// Index of the end.
    pub end: usize,
    /// Points that it takes.
    pub points: usize,
    /// Its colour: right answers alike, the larger ones of the others apart.
    pub colour: &'static str,
    /// Whether no other end has that colour, apart from other right ones.
    pub apart: bool,
}

/// The ends that take points, the largest first.
#[must_use]
pub fn basin_shares(map: &GridMap, ends: &[BasinEnd]) -> Vec<BasinShare> {
    let mut points = vec![0; ends.len()];
    for &end in map.values.iter().flatten() {
        if let Some(points) = points.get_mut(end as usize) {
            *points += 1;
        }
    }
    let mut order: Vec<usize> = (0..ends.len()).filter(|&end| points[end] > 0).collect();
    order.sort_by_key(|&end| std::cmp::Reverse(points[end]));
    let mut rank = 0;
    order
        .into_iter()
        .map(|end| {
            let solved = ends[end].solved;
            let share = BasinShare {
                end,
                points: points[end],
                colour: end_colour(rank, solved),
                apart: solved || rank < APART,
            };
            rank += usize::from(!solved);
            share
        })
        .collect()
}

/// The runs on the plane; the one on the board has a dot for each H update.
#[must_use]
pub fn tracks(tracks: &[Track], window: Window) -> String {
    let mut d = Drawing::new();
    for (number, track) in tracks.iter().enumerate() {
        let own = track.id == 0;
        let points: Vec<(f64, f64)> = track.points.iter().map(|&p| window.place(p)).collect();
        let path = line(points.iter().copied());
        d.path("halo", &path)
            .path(if own { "track own" } else { "track" }, &path);
        if own && points.len() <= MARKED {
            for &(x, y) in &points {
                d.circle("stop", [x, y], 2.5);
            }
        }
        let (Some(&first), Some(&(x, y))) = (points.first(), points.last()) else {
            continue;
        };
        d.circle("start", [first.0, first.1], 4.0);
        let class = if track.solved { "end solved" } else { "end" };
        d.path(class, &format!("M{x:.1} {:.1}l6 6l-6 6l-6-6z", y - 6.0));
        let name = if own {
            "run".to_owned()
        } else {
            number.to_string()
        };
        d.text("track-name", Anchor::Start, [x + 9.0, y + 4.0], &name);
    }
    d.svg()
}

/// E and flow on the line between two ends, in a drawing of 300 by 204.
#[must_use]
pub fn between(points: &[LinePoint]) -> String {
    let most = points.iter().map(|p| p.conflicts).max().unwrap_or(0).max(4);
    let most = f64::from(most);
    let reach = points.iter().map(|p| p.flow.abs()).fold(1e-6, f32::max);
    let x = |t: f32| 36.0 + 256.0 * f64::from(t);
    let e = |p: &LinePoint| (x(p.t), 96.0 - 76.0 * f64::from(p.conflicts) / most);
    let flow = |p: &LinePoint| (x(p.t), 166.0 - 32.0 * f64::from(p.flow / reach));
    let mut d = Drawing::new();
    d.line("grid", [36.0, 96.0], [292.0, 96.0])
        .line("grid", [36.0, 166.0], [292.0, 166.0])
        .text("tick", Anchor::End, [32.0, 24.0], &format!("{most:.0}"))
        .text("tick", Anchor::End, [32.0, 100.0], "0")
        .text("name", Anchor::Start, [40.0, 12.0], "E between the ends")
        .text(
            "name",
            Anchor::Start,
            [40.0, 122.0],
            "flow: up is towards the second",
        )
        .path("conflicts-line", &line(points.iter().map(e)))
        .path("confidence-line", &line(points.iter().map(flow)));
    d.svg()
}

/// The colours of E from 0 to [`CLIP`], in a drawing of 42 by 4.
#[must_use]
pub fn scale() -> String {
    let mut d = Drawing::new();
    for e in (0..=CLIP).step_by(2) {
        d.filled(
            &colour(e as f32 / CLIP as f32),
            &format!("M{e} 0h2.1v4h-2.1z"),
        );
    }
    d.svg()
}

/// Where a point of a grid is on the drawing.
fn at(map: &GridMap, window: Window, column: f32, row: f32) -> (f64, f64) {
    let half = (map.side as f32 - 1.0) / 2.0;
    window.place([
        map.centre[0] + (column - half) * map.step,
        map.centre[1] + (row - half) * map.step,
    ])
}

fn heat(map: &GridMap, window: Window, value: impl Fn(u32) -> u32) -> Vec<(u32, String)> {
    // A little more than half a step, so that no seams show.
    let half = 0.51 * f64::from(map.step) * SIZE / (2.0 * window.half);
    squares(map.values.iter().enumerate().filter_map(|(i, v)| {
        let (x, y) = at(map, window, (i % map.side) as f32, (i / map.side) as f32);
        Some((x, y, half, value((*v)?)))
    }))
}

/// An arrow from one point towards another.
fn arrow(from: (f64, f64), to: (f64, f64)) -> String {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if !length.is_finite() || length < 1.0 {
        return String::new();
    }
    let (ux, uy) = (dx / length, dy / length);
    let reach = length.min(ARROW);
    let (x, y) = (from.0 + reach * ux, from.1 + reach * uy);
    let wing = |side: f64| {
        let (wx, wy) = (
            x - 6.0 * ux + side * 3.5 * uy,
            y - 6.0 * uy - side * 3.5 * ux,
        );
        line([(x, y), (wx, wy)])
    };
    format!("{}{}{}", line([from, (x, y)]), wing(1.0), wing(-1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> GridMap {
        GridMap {
            side: 3,
            step: 2.0,
            centre: [1.0, -1.0],
            values: (0..9).map(|v| (v != 4).then_some(8 * v)).collect(),
            known: 8,
        }
    }

    fn track(id: u32, solved: bool) -> Track {
        Track {
            id,
            points: vec![[0.0, 0.0], [4.0, 2.0]],
            conflicts: 3,
            solved,
            residual: 0.1,
        }
    }

    #[test]
    fn points_go_to_the_drawing_and_back() {
        let window = Window::of(&[], Some(&map()));
        assert_eq!(window.place([1.0, -1.0]), (300.0, 300.0));
        assert_eq!(window.place([1.0, 2.0]).1, 0.0, "up is up");
        for point in [[0.5, 0.25], [-2.0, 1.0]] {
            let (x, y) = window.place(point);
            let back = window.point(x, y);
            assert!((back[0] - point[0]).abs() < 1e-5 && (back[1] - point[1]).abs() < 1e-5);
        }
        let around = Window::of(&[track(0, true)], None);
        let (x, y) = around.place([2.0, 1.0]);
        assert!((x - 300.0).abs() < 1e-9 && (y - 300.0).abs() < 1e-9);
        let (x, _) = around.place([4.0, 2.0]);
        assert!(x < SIZE);
        assert_eq!(Window::of(&[], None).place([0.0, 0.0]), (300.0, 300.0));
    }

    #[test]
    fn what_lies_under_the_tracks() {
        let window = Window::of(&[], Some(&map()));
        let arrows = [
            Arrow {
                from: [1.0, -1.0],
                to: [2.0, -1.0],
            },
            Arrow {
                from: [1.0, -1.0],
                to: [1.0, -1.0],
            },
        ];
        let drawn = landscape(&map(), &arrows, window);
        // Eight values are known, from 0 to 64 in steps of 8 without 32; 40 and
        // more look alike.
        assert_eq!(drawn.matches("<path fill=").count(), 5);
        assert_eq!(drawn.matches("class=\"contour\"").count(), 3);
        assert!(drawn.contains("class=\"flow\" d=\"M300.0 300.0L334.0 300.0M334.0"));
        let end = |solved| BasinEnd {
            grid: vec![],
            conflicts: 0,
            solved,
        };
        let ends = [end(false), end(true), end(false)];
        let mut taken = map();
        taken.values = [2, 2, 2, 1, 1, 0, 2, 2, 2].map(Some).to_vec();
        let shares = basin_shares(&taken, &ends);
        assert_eq!(
            shares.iter().map(|s| (s.end, s.points)).collect::<Vec<_>>(),
            [(2, 6), (1, 2), (0, 1)]
        );
        // By their size, whatever the order in which they were found.
        assert_eq!(shares[0].colour, end_colour(0, false));
        assert_eq!(shares[1].colour, end_colour(9, true));
        assert_eq!(shares[2].colour, end_colour(1, false));
        assert_eq!(basins(&map(), &ends, window).matches("<path").count(), 8);
    }

    #[test]
    fn tracks_and_the_line_between_their_ends() {
        let all = [track(0, true), track(7, false)];
        let drawn = tracks(&all, Window::of(&all, None));
        assert_eq!(drawn.matches("class=\"stop\"").count(), 2);
        assert!(drawn.contains("end solved") && drawn.contains(">1<") && drawn.contains(">run<"));
        let point = |t: f32, conflicts, flow| LinePoint { t, conflicts, flow };
        let drawn = between(&[point(0.0, 8, -0.5), point(1.0, 0, 0.25)]);
        assert!(drawn.contains("d=\"M36.0 20.0L292.0 96.0\""));
        assert!(drawn.contains("d=\"M36.0 198.0L292.0 150.0\""));
        assert_eq!(scale().matches("<path").count(), 21);
    }
}
