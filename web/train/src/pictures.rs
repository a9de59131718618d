//! Pictures of a run: loss and accuracy over its steps, below them accuracy by
//! segment as a heat map on the same axis, and the course of the rate.

use std::fmt::Write as _;

use hrm_web::draw::{Anchor, Drawing};
use hrm_web::plot::{colour, line, round_up};

use crate::history::{Evaluation, History, share};
use crate::session::factor;
use crate::settings::Settings;

/// Size of the drawing in its own units.
pub const WIDTH: f64 = 480.0;
/// See [`WIDTH`].
pub const HEIGHT: f64 = 392.0;
/// Left and right edge of all panels.
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 10.0;
/// Top and bottom of the panels.
const LOSS: (f64, f64) = (22.0, 102.0);
const ACCURACY: (f64, f64) = (132.0, 222.0);
const SEGMENTS: (f64, f64) = (254.0, 366.0);
/// Steps of the heat map's colours.
const COLOURS: u32 = 32;

/// Places steps on the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The step at the right edge.
    end: f64,
    loss: f64,
}

impl Scale {
    /// For what has been measured of a run of so many steps.
    #[must_use]
    pub fn of(history: &History, steps: u64) -> Self {
        let last = history.last_step();
        let far = round_up(last.max(10) as f64);
        let whole = steps as f64;
        // The whole run, once a good part of it is done.
        let end = if last <= steps && far >= whole / 3.0 {
            whole
        } else {
            far
        };
        let first = history.marks.iter().map(|mark| mark.loss);
        let loss = first.fold(
            0.0,
            |top: f64, loss| if loss.is_finite() { top.max(loss) } else { top },
        );
        Self {
            end: end.max(1.0),
            loss: round_up(loss),
        }
    }

    fn x(self, step: u64) -> f64 {
        LEFT + (RIGHT - LEFT) * (step as f64 / self.end).min(1.0)
    }

    /// The step at a place of the drawing, by its share of the width.
    #[must_use]
    pub fn step_at(self, share: f64) -> u64 {
        let inside = (share * WIDTH - LEFT) / (RIGHT - LEFT);
        (inside.clamp(0.0, 1.0) * self.end).round() as u64
    }

    fn loss(self, value: f64) -> f64 {
        height(LOSS, value / self.loss)
    }
}

fn height((top, bottom): (f64, f64), share: f64) -> f64 {
    bottom - (bottom - top) * share.clamp(0.0, 1.0)
}

/// The drawing; `seen` is the evaluation that is looked at.
#[must_use]
pub fn draw(history: &History, scale: Scale, seen: Option<usize>) -> String {
    let mut d = Drawing::new();
    frame(&mut d, scale, history);
    heat(&mut d, scale, &history.evaluations);
    let marks = || history.marks.iter().filter(|mark| mark.loss.is_finite());
    d.path(
        "t-loss",
        &line(marks().map(|mark| (scale.x(mark.step), scale.loss(mark.loss)))),
    );
    let curve = |value: &dyn Fn(&Evaluation) -> f64| {
        let points = history.evaluations.iter();
        line(points.map(|e| (scale.x(e.step), height(ACCURACY, value(e)))))
    };
    d.path("t-cells", &curve(&|e| e.cells));
    d.path("t-solved", &curve(&Evaluation::accuracy));
    let dots: String = history
        .evaluations
        .iter()
        .map(|e| {
            let y = height(ACCURACY, e.accuracy());
            format!("M{:.1} {y:.1}h0", scale.x(e.step))
        })
        .collect();
    d.path("t-dots", &dots);
    if let Some(evaluation) = seen.and_then(|i| history.evaluations.get(i)) {
        let x = scale.x(evaluation.step);
        d.line("t-now", [x, LOSS.0], [x, SEGMENTS.1]);
        d.circle("t-seen", [x, height(ACCURACY, evaluation.accuracy())], 4.0);
    }
    d.svg()
}

fn frame(d: &mut Drawing, scale: Scale, history: &History) {
    let mut tick = |y: f64, label: &str| {
        d.line("t-grid", [LEFT, y], [RIGHT, y]).text(
            "t-tick",
            Anchor::End,
            [LEFT - 5.0, y + 4.0],
            label,
        );
    };
    for part in [0.0, 0.5, 1.0] {
        tick(
            scale.loss(scale.loss * part),
            &format!("{}", scale.loss * part),
        );
        tick(height(ACCURACY, part), &format!("{:.0} %", 100.0 * part));
    }
    let name = |d: &mut Drawing, x: f64, y: f64, class: &str, text: &str| {
        d.line(class, [x, y - 4.0], [x + 16.0, y - 4.0]).text(
            "t-name",
            Anchor::Start,
            [x + 21.0, y],
            text,
        );
    };
    name(d, LEFT, 13.0, "t-loss", "loss of the training steps");
    name(d, LEFT, ACCURACY.0 - 9.0, "t-solved", "new puzzles solved");
    name(
        d,
        LEFT + 165.0,
        ACCURACY.0 - 9.0,
        "t-cells",
        "their cells right",
    );
    d.text(
        "t-name",
        Anchor::Start,
        [LEFT, SEGMENTS.0 - 8.0],
        "solved after each segment:",
    );
    legend(d);
    let segments = history
        .evaluations
        .last()
        .map_or(16, |e| e.solved.len().max(1));
    for segment in [1, segments.div_ceil(2), segments] {
        let row = (SEGMENTS.1 - SEGMENTS.0) / segments as f64;
        let y = SEGMENTS.0 + (segment as f64 - 0.5) * row + 4.0;
        d.text("t-tick", Anchor::End, [LEFT - 5.0, y], &segment.to_string());
    }
    for (part, anchor) in [
        (0.0, Anchor::Start),
        (0.5, Anchor::Middle),
        (1.0, Anchor::End),
    ] {
        let x = LEFT + (RIGHT - LEFT) * part;
        let step = (scale.end * part).round();
        let text = if part < 1.0 {
            format!("{step}")
        } else {
            format!("step {step}")
        };
        d.text("t-tick", anchor, [x, HEIGHT - 10.0], &text);
    }
}

/// What the heat map's colours mean.
fn legend(d: &mut Drawing) {
    let (left, right, y) = (RIGHT - 120.0, RIGHT - 44.0, SEGMENTS.0 - 17.0);
    let width = (right - left) / 8.0;
    for i in 0..8 {
        let x = left + width * f64::from(i);
        let path = format!("M{x:.1} {y:.1}h{:.1}v10h-{:.1}z", width + 0.3, width + 0.3);
        d.filled(&colour(i as f32 / 7.0), &path);
    }
    d.text("t-tick", Anchor::End, [left - 4.0, y + 9.0], "0")
        .text("t-tick", Anchor::Start, [right + 4.0, y + 9.0], "100 %");
}

/// Accuracy by segment: each evaluation from its step to the next one's.
fn heat(d: &mut Drawing, scale: Scale, evaluations: &[Evaluation]) {
    d.rect(
        "t-empty",
        [LEFT, SEGMENTS.0],
        [RIGHT - LEFT, SEGMENTS.1 - SEGMENTS.0],
    );
    let mut paths = vec![String::new(); COLOURS as usize + 1];
    for (i, evaluation) in evaluations.iter().enumerate() {
        let left = scale.x(evaluation.step);
        let next = evaluations.get(i + 1).map_or(evaluation.step, |e| e.step);
        let right = scale.x(next).max(left + 2.0).min(RIGHT);
        let left = left.min(right - 2.0);
        let row = (SEGMENTS.1 - SEGMENTS.0) / evaluation.solved.len().max(1) as f64;
        for (segment, &solved) in evaluation.solved.iter().enumerate() {
            let value = share(solved, evaluation.puzzles) * f64::from(COLOURS);
            let Some(path) = paths.get_mut(value.round() as usize) else {
                continue;
            };
            let y = SEGMENTS.0 + row * segment as f64;
            let (width, height) = (right - left + 0.3, row + 0.3);
            // Writing to a string can't fail.
            let _ = write!(
                path,
                "M{left:.1} {y:.1}h{width:.1}v{height:.1}h-{width:.1}z"
            );
        }
    }
    for (value, path) in paths
        .iter()
        .enumerate()
        .filter(|(_, path)| !path.is_empty())
    {
        d.filled(&colour(value as f32 / COLOURS as f32), path);
    }
}

/// Size of the picture of the rate's course.
pub const COURSE: [f64; 2] = [200.0, 56.0];

/// The course of the rate over the steps of a run, with the present step.
#[must_use]
pub fn course(settings: &Settings, step: u64) -> String {
    let [width, height] = COURSE;
    let (left, right, top, bottom) = (2.0, width - 2.0, 5.0, height - 5.0);
    let last = settings.steps.max(1);
    let place = |step: u64| {
        let x = left + (right - left) * step as f64 / last as f64;
        (x, bottom - (bottom - top) * factor(settings, step).min(1.0))
    };
    let points = (0..=100).map(|i| place(last * i / 100));
    let mut d = Drawing::new();
    d.line("t-grid", [left, bottom], [right, bottom])
        .path("t-course", &line(points));
    if step > 0 {
        let (x, y) = place(step.min(last));
        d.circle("t-seen", [x, y], 3.5);
    }
    d.svg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Mark;
    use crate::presets::Preset;

    fn history(length: u64) -> History {
        let mut history = History::default();
        for step in 1..=length {
            history.add(&[Mark {
                step,
                steps: 1,
                loss: 2.0 / step as f64,
                ..Mark::default()
            }]);
            if step % 5 == 0 {
                history.evaluate(Evaluation {
                    step,
                    puzzles: 10,
                    solved: vec![step as usize % 11; 16],
                    cells: 0.5,
                    ..Evaluation::default()
                });
            }
        }
        history
    }

    #[test]
    fn a_drawing_stays_small_however_long_the_run() {
        let elements = |length: u64| {
            let history = history(length);
            let drawn = draw(&history, Scale::of(&history, length), Some(1));
            for class in ["t-loss", "t-solved", "t-cells", "t-now", "t-seen"] {
                assert!(drawn.contains(&format!("class=\"{class}\"")), "{class}");
            }
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
            drawn.matches('<').count()
        };
        assert!(elements(100_000) < 110);
        assert!(elements(100_000).abs_diff(elements(2_000)) < 25);
        // Of nothing, too.
        let nothing = History::default();
        assert!(!draw(&nothing, Scale::of(&nothing, 400), None).contains("NaN"));
    }

    #[test]
    fn places_are_steps() {
        let history = history(300);
        let scale = Scale::of(&history, 400);
        assert_eq!(scale.step_at(0.0), 0);
        assert_eq!(scale.step_at(1.0), 400);
        for step in [0, 100, 400] {
            assert_eq!(scale.step_at(scale.x(step) / WIDTH), step);
        }
        // Early on a long run is not squeezed into the left edge.
        assert_eq!(Scale::of(&history, 100_000).step_at(1.0), 500);
        assert_eq!(Scale::of(&history, 200).step_at(1.0), 500);
    }

    #[test]
    fn the_course_of_the_rate_is_drawn() {
        let settings = Preset::Hrm4.settings();
        let drawn = course(&settings, 2_250);
        assert!(drawn.contains("class=\"t-course\"") && drawn.contains("class=\"t-seen\""));
        assert!(!course(&settings, 0).contains("t-seen"));
    }
}
