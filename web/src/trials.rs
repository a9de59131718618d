//! The charts of the experiments.

use hrm_core::reason::Proportion;

use crate::draw::{Anchor, Drawing};
use crate::experiments::Standing;
use crate::plot::line;

/// Size of the drawings in their own units.
pub const WIDTH: f64 = 640.0;
/// See [`WIDTH`].
pub const HEIGHT: f64 = 240.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 8.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 200.0;

/// A drawing with horizontal lines at shares of the height, a name below and
/// one above.
fn frame(ticks: &[(f64, String)], below: &str, above: &str) -> Drawing {
    let mut d = Drawing::new();
    for (share, label) in ticks {
        let y = height(*share);
        d.line("grid", [LEFT, y], [RIGHT, y]).text(
            "tick",
            Anchor::End,
            [LEFT - 6.0, y + 4.0],
            label,
        );
    }
    d.text("name", Anchor::Start, [LEFT, HEIGHT - 6.0], below)
        .text("name", Anchor::Start, [LEFT, TOP - 4.0], above);
    d
}

fn height(share: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * share
}

/// Segments until solved by the number of hints; `chosen` is marked.
#[must_use]
pub fn hints(counts: &[usize], found: &[Option<Standing>], limit: usize, chosen: usize) -> String {
    // Even, so that the line in the middle is at a whole number.
    let limit = limit.max(4).next_multiple_of(2) as f64;
    let column = (RIGHT - LEFT) / counts.len().max(1) as f64;
    let ticks = [0.0, 0.5, 1.0].map(|share| (share, format!("{:.0}", share * limit)));
    let above = "segments until solved (✗ not solved)";
    let mut d = frame(&ticks, "hints filled in", above);
    let left = |i: usize| LEFT + i as f64 * column;
    d.rect("now", [left(chosen), TOP], [column, BOTTOM - TOP]);
    for (i, found) in found.iter().enumerate() {
        let Some(found) = found else { continue };
        let top = height(found.segments as f64 / limit);
        let class = if found.solved {
            "bar solved"
        } else {
            "bar failed"
        };
        d.rect(
            class,
            [left(i) + 0.12 * column, top],
            [0.76 * column, BOTTOM - top],
        );
        if !found.solved {
            d.text(
                "name",
                Anchor::Middle,
                // Inside the bar: above it stands the title.
                [left(i) + column / 2.0, top + 13.0],
                "✗",
            );
        }
    }
    let every = counts.len().div_ceil(12).max(1);
    for (i, count) in counts.iter().enumerate().step_by(every) {
        let at = [left(i) + column / 2.0, BOTTOM + 16.0];
        d.text("tick", Anchor::Middle, at, &count.to_string());
    }
    d.svg()
}

/// Conflicts of two runs over their segments.
#[must_use]
pub fn rivals(series: &[Vec<u32>; 2]) -> String {
    let segments = series.iter().map(Vec::len).max().unwrap_or(1).max(4) as f64;
    let most = f64::from(series.iter().flatten().copied().max().unwrap_or(0).max(4));
    let below = "conflicts E over segments: solid the first, dashed the second network";
    let ticks = [0.0, 1.0].map(|share| (share, format!("{:.0}", share * most)));
    let mut d = frame(&ticks, below, "");
    for (values, class) in series.iter().zip(["conflicts-line", "confidence-line"]) {
        let points = values.iter().enumerate().map(|(n, &value)| {
            let x = LEFT + (RIGHT - LEFT) * (n as f64 + 1.0) / segments;
            (x, height(f64::from(value) / most))
        });
        d.path(class, &line(points));
    }
    d.svg()
}

/// Shares of solved runs by the noise in the initial state.
#[must_use]
pub fn noise(noises: &[f32], shares: &[Proportion]) -> String {
    let column = (RIGHT - LEFT) / noises.len().max(1) as f64;
    let ticks = [0.0, 0.5, 1.0].map(|share| (share, format!("{:.0} %", 100.0 * share)));
    let below = "standard deviation of the noise (the state's own is 1)";
    let mut d = frame(&ticks, below, "runs solved");
    for (i, (noise, share)) in noises.iter().zip(shares).enumerate() {
        let x = LEFT + (i as f64 + 0.5) * column;
        d.text(
            "tick",
            Anchor::Middle,
            [x, BOTTOM + 16.0],
            &noise.to_string(),
        );
        if share.n > 0 {
            let y = height(share.value);
            d.line("interval", [x, height(share.low)], [x, height(share.high)])
                .circle("conflicts", [x, y], 5.0)
                .text(
                    "name",
                    Anchor::Start,
                    [x + 9.0, y + 4.0],
                    &format!("{}/{}", share.successes, share.n),
                );
        }
    }
    d.svg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_have_a_mark_for_everything_known() {
        let found = |solved| {
            Some(Standing {
                segments: 2,
                solved,
                conflicts: 0,
                wrong: 0,
            })
        };
        let drawn = hints(&[0, 1, 2], &[found(false), None, found(true)], 16, 1);
        assert_eq!(drawn.matches("class=\"bar ").count(), 2);
        assert!(drawn.contains("bar failed") && drawn.contains("class=\"now\""));
        let drawn = rivals(&[vec![8, 0], vec![8, 8, 8]]);
        assert_eq!(drawn.matches("<path").count(), 2);
        let shares = [
            Proportion::new(1, 1),
            Proportion::new(0, 0),
            Proportion::new(3, 8),
        ];
        let drawn = noise(&[0.0, 0.5, 1.0], &shares);
        assert_eq!(drawn.matches("<circle").count(), 2);
        assert!(drawn.contains(">3/8<"));
    }
}
