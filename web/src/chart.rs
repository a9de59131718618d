//! The chart of a run: conflicts, changed and wrong cells, confidence and
//! movement over its segments.

use hrm_core::puzzle::AnyPuzzle;
use hrm_core::reason::SegmentReport;
use hrm_core::reason::modes::{AT_REST, Grok};

use crate::draw::{Anchor, Drawing};
use crate::dynamics::{Story, residual_decades};
use crate::experiments::wrong_cells;
use crate::plot::line;

/// Size of the drawing in its own units.
pub const WIDTH: f64 = 560.0;
/// See [`WIDTH`].
pub const HEIGHT: f64 = 352.0;
/// Logit of 99.9 %. Confidence is drawn by its logit, on which more is to be
/// seen than on a scale from 0 to 100 %: most of it is near one of the ends.
const SURE: f64 = 6.906_754_8;
/// Segments that are drawn of a run at most.
const DRAWN: usize = 128;
/// Left and right edge of all panels.
pub const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 12.0;
/// Top and bottom of the panels: counts, confidence, movement.
const COUNTS: (f64, f64) = (24.0, 156.0);
const CONFIDENCE: (f64, f64) = (190.0, 238.0);
const MOVEMENT: (f64, f64) = (272.0, 330.0);

/// Places segments and values on the drawing.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    segments: usize,
    counts: f64,
    /// Powers of ten at the ends of the axis of movement.
    decades: (i32, i32),
}

impl Scale {
    /// For a run of `limit` segments.
    #[must_use]
    pub fn of(reports: &[SegmentReport], limit: usize) -> Self {
        let largest = reports
            .iter()
            .map(|r| (r.conflicts as usize).max(r.changed.len()))
            .max()
            .unwrap_or(0);
        Self {
            segments: limit.max(reports.len()).max(1),
            // A multiple of 20, and at least that.
            counts: largest.max(1).next_multiple_of(20) as f64,
            decades: residual_decades(reports),
        }
    }

    /// Middle of a segment's column.
    fn x(self, segment: usize) -> f64 {
        LEFT + (segment as f64 - 0.5) * self.column()
    }

    /// Width of a segment's column.
    #[must_use]
    pub fn column(self) -> f64 {
        (RIGHT - LEFT) / self.segments as f64
    }

    fn count(self, value: f64) -> f64 {
        COUNTS.1 - (COUNTS.1 - COUNTS.0) * value / self.counts
    }

    /// Height of a movement, on a logarithmic axis.
    fn movement(self, value: f64) -> f64 {
        let (low, high) = (f64::from(self.decades.0), f64::from(self.decades.1));
        let share = (value.max(1e-9).log10().clamp(low, high) - low) / (high - low);
        MOVEMENT.1 - (MOVEMENT.1 - MOVEMENT.0) * share
    }

    fn confidence(logit: f64) -> f64 {
        let share = (logit.clamp(-SURE, SURE) + SURE) / (2.0 * SURE);
        CONFIDENCE.1 - (CONFIDENCE.1 - CONFIDENCE.0) * share
    }
}

/// The drawing: `looking_at` is the segment that is marked, `answer` the
/// solution, if it is known.
#[must_use]
pub fn draw(
    reports: &[SegmentReport],
    scale: Scale,
    looking_at: usize,
    answer: Option<&AnyPuzzle>,
) -> String {
    let mut d = Drawing::new();
    if (1..=reports.len()).contains(&looking_at) {
        let x = LEFT + (looking_at as f64 - 1.0) * scale.column();
        let size = [scale.column(), MOVEMENT.1 - COUNTS.0];
        d.rect("now", [x, COUNTS.0], size);
    }
    let grok = Story::of(reports).and_then(|story| story.grok);
    if let Some(grok) = grok.filter(|grok| grok.plateau > 1) {
        mark_grok(&mut d, grok, scale);
    }
    frame(&mut d, scale);
    d.circle("conflicts", [LEFT + 6.0, 10.0], 3.5)
        .text("name", Anchor::Start, [LEFT + 15.0, 14.0], "conflicts")
        .rect("changed", [LEFT + 90.0, 4.0], [10.0, 11.0])
        .text("name", Anchor::Start, [LEFT + 106.0, 14.0], "cells changed");

    // A long run is drawn by every second, every third … of its segments, so
    // that a drawing costs the same however long it is.
    let every = reports.len().div_ceil(DRAWN).max(1);
    let drawn = || {
        let last = reports.len().saturating_sub(1);
        let chosen = move |i: &usize| (last - i).is_multiple_of(every);
        (0..reports.len()).filter(chosen).map(|i| &reports[i])
    };
    let column = scale.column() * every as f64;
    let width = (0.56 * column).clamp(1.0, 22.0);
    let bars: String = drawn()
        .map(|r| {
            let y = scale.count(r.changed.len() as f64);
            let x = scale.x(r.segment) - width / 2.0;
            format!("M{x:.1} {:.1}V{y:.1}h{width:.1}V{:.1}z", COUNTS.1, COUNTS.1)
        })
        .collect();
    d.path("changed", &bars);
    if let Some(answer) = answer {
        let points = drawn().map(|r| {
            let wrong = wrong_cells(&r.grid, answer) as f64;
            (scale.x(r.segment), scale.count(wrong.min(scale.counts)))
        });
        d.path("wrong-line", &line(points))
            .line("wrong-line", [LEFT + 210.0, 10.0], [LEFT + 226.0, 10.0])
            .text("name", Anchor::Start, [LEFT + 232.0, 14.0], "cells wrong");
    }
    let curve = |value: &dyn Fn(&SegmentReport) -> f64| -> Vec<(f64, f64)> {
        drawn().map(|r| (scale.x(r.segment), value(r))).collect()
    };
    // Three drawn marks in one element each.
    let marks = |points: &[(f64, f64)], mark: fn(f64, f64) -> String| -> String {
        points.iter().map(|&(x, y)| mark(x, y)).collect()
    };
    let conflicts = curve(&|r| scale.count(f64::from(r.conflicts)));
    let confidence = curve(&|r| Scale::confidence(f64::from(r.q_halt)));
    let movement = curve(&|r| scale.movement(f64::from(r.residual)));
    d.path("conflicts-line", &line(conflicts.iter().copied()))
        .path(
            "conflicts-dots",
            &marks(&conflicts, |x, y| format!("M{x:.1} {y:.1}h0")),
        )
        .path("confidence-line", &line(confidence.iter().copied()))
        .path("confidence-mark", &marks(&confidence, diamond))
        .path("movement-line", &line(movement.iter().copied()))
        .path(
            "movement",
            &marks(&movement, |x, y| {
                format!("M{:.1} {:.1}h5v5h-5z", x - 2.5, y - 2.5)
            }),
        );
    d.svg()
}

fn diamond(x: f64, y: f64) -> String {
    format!("M{x:.1} {:.1}l4 4l-4 4l-4-4z", y - 4.0)
}

/// The plateau as a band and the grok as a line.
fn mark_grok(d: &mut Drawing, grok: Grok, scale: Scale) {
    let x = scale.x(grok.segment) - scale.column() / 2.0;
    let width = grok.plateau as f64 * scale.column();
    let y = COUNTS.0 + 12.0;
    d.rect(
        "plateau",
        [x - width, COUNTS.0],
        [width, COUNTS.1 - COUNTS.0],
    )
    .text("tick", Anchor::Start, [x - width + 4.0, y], "plateau")
    .line("grok", [x, COUNTS.0], [x, MOVEMENT.1])
    .text("tick", Anchor::Start, [x + 4.0, y], "drop");
}

/// Axes and their names.
fn frame(d: &mut Drawing, scale: Scale) {
    let mut tick = |y: f64, label: &str| {
        d.line("grid", [LEFT, y], [RIGHT, y]).text(
            "tick",
            Anchor::End,
            [LEFT - 6.0, y + 4.0],
            label,
        );
    };
    for share in [0.0, 0.5, 1.0] {
        let value = scale.counts * share;
        tick(scale.count(value), &format!("{value:.0}"));
    }
    tick(Scale::confidence(-SURE), "0.1 %");
    tick(Scale::confidence(0.0), "50 %");
    tick(Scale::confidence(SURE), "99.9 %");
    for decade in [scale.decades.0, scale.decades.1] {
        let value = 10_f64.powi(decade);
        tick(scale.movement(value), &format!("{value}"));
    }
    let rest = scale.movement(AT_REST);
    d.line("at-rest", [LEFT, rest], [RIGHT, rest])
        .text(
            "tick",
            Anchor::Start,
            [LEFT + 3.0, rest - 3.0],
            "at rest below",
        )
        .path("confidence-mark", &diamond(LEFT + 6.0, CONFIDENCE.0 - 15.0))
        .text(
            "name",
            Anchor::Start,
            [LEFT + 15.0, CONFIDENCE.0 - 11.0],
            "how sure the network is that it is done",
        )
        .rect("movement", [LEFT + 3.0, MOVEMENT.0 - 18.0], [5.0, 5.0])
        .text(
            "name",
            Anchor::Start,
            [LEFT + 15.0, MOVEMENT.0 - 11.0],
            "how far z_H moved (share of itself)",
        );
    let every = scale.segments.div_ceil(16);
    for n in (1..=scale.segments).filter(|n| n % every == 0 || *n == 1) {
        let at = [scale.x(n), HEIGHT - 4.0];
        d.text("tick", Anchor::Middle, at, &n.to_string());
    }
    d.text("tick", Anchor::End, [LEFT - 6.0, HEIGHT - 4.0], "segment");
}

#[cfg(test)]
mod tests {
    use super::*;
    use hrm_core::puzzle::Board;

    fn report(segment: usize, grid: &str) -> SegmentReport {
        let board: Board = grid.parse().unwrap();
        SegmentReport {
            segment,
            grid: board.cells().to_vec(),
            changed: vec![0],
            conflicts: board.conflicts(),
            keeps_givens: true,
            q_halt: 0.0,
            q_continue: None,
            residual: 0.1,
            halted: false,
            solved: board.conflicts() == 0,
            committed: vec![],
        }
    }

    #[test]
    fn a_plateau_and_its_grok_are_marked() {
        let answer: AnyPuzzle = "1234341221434321".parse().unwrap();
        let mut reports: Vec<_> = (1..=5).map(|n| report(n, &"1".repeat(16))).collect();
        reports.push(report(6, "1234341221434321"));
        let scale = Scale::of(&reports, 16);
        let drawn = draw(&reports, scale, 6, Some(&answer));
        for class in [
            "plateau",
            "grok",
            "now",
            "wrong-line",
            "at-rest",
            "movement-line",
        ] {
            assert!(drawn.contains(&format!("class=\"{class}\"")), "{class}");
        }
        // A mark in the legend, and one element for all bars.
        assert_eq!(drawn.matches("class=\"changed\"").count(), 2);
        let early = draw(&reports[..2], scale, 9, None);
        assert!(!early.contains("grok") && !early.contains("wrong") && !early.contains("now"));
        // However long a run is, its drawing is as large.
        let elements = |length: usize| {
            let reports: Vec<_> = (1..=length).map(|n| report(n, &"1".repeat(16))).collect();
            let scale = Scale::of(&reports, length);
            let drawn = draw(&reports, scale, length, Some(&answer));
            (drawn.matches('<').count(), drawn.len())
        };
        let (long, longer) = (elements(256), elements(1000));
        assert!(longer.0.abs_diff(long.0) < 8, "{long:?} {longer:?}");
        assert!(longer.1 < 30_000, "{longer:?}");
        // The last segment's column ends at the right edge.
        assert!((scale.x(16) + scale.column() / 2.0 - RIGHT).abs() < 1e-9);
    }
}
