//! The shape of a run over its segments: plateau and grok, settled or
//! wandering, and the four modes of arXiv 2601.10679, by stated rules.
//!
//! The paper names the modes by example; every threshold here is this
//! project's, is a constant with its reason, and is reported with whatever is
//! counted by it.

use serde::{Deserialize, Serialize};

use super::SegmentReport;

/// A run that is right for good from this segment on, or earlier, converged
/// at once. The first segment reads the puzzle in, the second repairs it.
pub const AT_ONCE: usize = 2;

/// Segments at the end of a run over which it is judged settled or
/// wandering: a quarter of the 16 that the papers run.
pub const WINDOW: usize = 4;

/// A state is at rest if z_H moves by less than this in every segment of the
/// window. States are normalised to a root mean square of 1, so this is a
/// share of the state itself.
pub const AT_REST: f64 = 0.05;

/// A drop is a grok if one segment makes at least this share of the whole
/// range of values of the run.
pub const GROK_SHARE: f64 = 0.5;

/// Values within this factor of the last one before a drop belong to its
/// plateau.
pub const PLATEAU_FACTOR: f64 = 2.0;

/// The four modes of 2601.10679.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Ends right, and was right for good within [`AT_ONCE`] segments.
    TrivialSuccess,
    /// Ends right after having lingered elsewhere.
    NontrivialSuccess,
    /// Ends wrong and still moves: it wanders or oscillates.
    TrivialFailure,
    /// Ends wrong and at rest: a false fixed point.
    NontrivialFailure,
}

impl Mode {
    /// Every mode, in the paper's order.
    pub const ALL: [Self; 4] = [
        Self::TrivialSuccess,
        Self::NontrivialSuccess,
        Self::TrivialFailure,
        Self::NontrivialFailure,
    ];

    /// Its name in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TrivialSuccess => "trivial success",
            Self::NontrivialSuccess => "non-trivial success",
            Self::TrivialFailure => "trivial failure",
            Self::NontrivialFailure => "non-trivial failure",
        }
    }
}

/// What one segment contributes to the judgement of its run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Whether the answer read off after the segment is right (by the rules
    /// or by the answer key, as the caller prefers).
    pub right: bool,
    /// Cells whose value changed.
    pub changed: usize,
    /// RMS change of z_H.
    pub residual: f64,
}

impl From<&SegmentReport> for Moment {
    fn from(report: &SegmentReport) -> Self {
        Self {
            right: report.solved,
            changed: report.changed.len(),
            residual: f64::from(report.residual),
        }
    }
}

/// The judgement of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// Which of the four.
    pub mode: Mode,
    /// First segment, from 1, that was right.
    pub first_right: Option<usize>,
    /// First segment from which on it stayed right.
    pub right_for_good: Option<usize>,
    /// Whether z_H was at rest over the window ([`AT_REST`]).
    pub state_settled: bool,
    /// Whether no cell changed over the window.
    pub grid_settled: bool,
}

impl Behaviour {
    /// Whether the run was right once and is not at its end: the solution was
    /// no fixed point.
    #[must_use]
    pub fn left_the_solution(&self) -> bool {
        self.first_right.is_some() && self.right_for_good.is_none()
    }
}

/// Judges a run; none without segments. A run shorter than the window is
/// judged by the segments after its first, and one of a single segment is
/// never settled.
#[must_use]
pub fn judge(run: &[Moment]) -> Option<Behaviour> {
    if run.is_empty() {
        return None;
    }
    let first_right = run.iter().position(|m| m.right).map(|i| i + 1);
    let wrong_until = run.iter().rposition(|m| !m.right).map_or(0, |i| i + 1);
    let right_for_good = (wrong_until < run.len()).then_some(wrong_until + 1);
    // The first segment always moves: it starts from nothing.
    let window = &run[run.len().saturating_sub(WINDOW).max(1).min(run.len())..];
    let judged = !window.is_empty();
    let state_settled = judged && window.iter().all(|m| m.residual < AT_REST);
    let grid_settled = judged && window.iter().all(|m| m.changed == 0);
    let mode = match (right_for_good, state_settled) {
        (Some(segment), _) if segment <= AT_ONCE => Mode::TrivialSuccess,
        (Some(_), _) => Mode::NontrivialSuccess,
        (None, false) => Mode::TrivialFailure,
        (None, true) => Mode::NontrivialFailure,
    };
    Some(Behaviour {
        mode,
        first_right,
        right_for_good,
        state_settled,
        grid_settled,
    })
}

/// A plateau that ends in one drop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Grok {
    /// The segment, from 1, in which the drop happens.
    pub segment: usize,
    /// Segments of the plateau right before it.
    pub plateau: usize,
    /// Share of the run's range of values that this segment makes.
    pub share: f64,
}

/// The grok of a curve of values per segment (loss or E), if it has one: the
/// steepest drop, provided that it makes at least [`GROK_SHARE`] of the way
/// from the run's highest value to its lowest.
#[must_use]
pub fn grok(values: &[f64]) -> Option<Grok> {
    let highest = values.iter().copied().reduce(f64::max)?;
    let lowest = values.iter().copied().reduce(f64::min)?;
    let range = highest - lowest;
    if !range.is_finite() || range <= 0.0 {
        return None;
    }
    // The earliest of equal drops.
    let (at, drop) = values
        .windows(2)
        .map(|w| w[0] - w[1])
        .enumerate()
        .fold((0, 0.0), |best, d| if d.1 > best.1 { d } else { best });
    let share = drop / range;
    if share < GROK_SHARE {
        return None;
    }
    let before = values[at];
    let (low, high) = (before / PLATEAU_FACTOR, before * PLATEAU_FACTOR);
    let plateau = values[..=at]
        .iter()
        .rev()
        .take_while(|v| (low..=high).contains(*v))
        .count();
    Some(Grok {
        segment: at + 2,
        plateau,
        share,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(right: bool, changed: usize, residual: f64) -> Moment {
        Moment {
            right,
            changed,
            residual,
        }
    }

    fn run(right: &str, changed: usize, residual: f64) -> Behaviour {
        let moments: Vec<Moment> = right
            .chars()
            .map(|c| moment(c == '+', changed, residual))
            .collect();
        judge(&moments).unwrap()
    }

    #[test]
    fn the_four_modes() {
        assert_eq!(run("++++++", 0, 0.0).mode, Mode::TrivialSuccess);
        assert_eq!(run("-+++++", 0, 0.0).mode, Mode::TrivialSuccess);
        assert_eq!(run("----++", 3, 0.5).mode, Mode::NontrivialSuccess);
        // Right early, lost, and found again: not at once.
        assert_eq!(run("+-++++", 3, 0.5).mode, Mode::NontrivialSuccess);
        assert_eq!(run("------", 3, 0.5).mode, Mode::TrivialFailure);
        assert_eq!(run("------", 0, 0.04).mode, Mode::NontrivialFailure);
        // The grid rests while the state does not.
        let still = run("------", 0, 0.06);
        assert!(still.grid_settled && !still.state_settled);
        assert_eq!(still.mode, Mode::TrivialFailure);
    }

    #[test]
    fn what_is_told_of_a_run() {
        let lost = run("--++--", 1, 0.01);
        assert!(lost.left_the_solution());
        assert_eq!((lost.first_right, lost.right_for_good), (Some(3), None));
        let found = run("--+-++", 1, 0.01);
        assert!(!found.left_the_solution());
        assert_eq!(
            (found.first_right, found.right_for_good),
            (Some(3), Some(5))
        );
        assert_eq!(judge(&[]), None);
        assert!(!run("-", 0, 0.0).state_settled, "one segment shows no rest");
        // Only the window counts.
        let mut late: Vec<Moment> = vec![moment(false, 5, 0.9); 12];
        late.extend(vec![moment(false, 0, 0.01); WINDOW]);
        assert!(judge(&late).unwrap().state_settled);
        late[12].residual = 0.5;
        assert!(!judge(&late).unwrap().state_settled);
    }

    #[test]
    fn the_published_curve_groks_at_segment_10() {
        // Loss per segment of the reference's test sample 8 (arXiv 2601.10679).
        let loss = [
            0.532, 0.489, 0.444, 0.517, 0.504, 0.461, 0.430, 0.428, 0.370, 0.011, 0.009,
        ];
        let found = grok(&loss).unwrap();
        assert_eq!((found.segment, found.plateau), (10, 9));
        assert!((found.share - 0.359 / 0.523).abs() < 1e-9);
    }

    #[test]
    fn curves_without_a_grok() {
        assert_eq!(grok(&[]), None);
        assert_eq!(grok(&[3.0]), None);
        assert_eq!(grok(&[3.0, 3.0, 3.0]), None);
        assert_eq!(grok(&[1.0, 2.0, 3.0]), None);
        // Evenly down: no segment makes half of it.
        assert_eq!(grok(&[4.0, 3.0, 2.0, 1.0, 0.0]), None);
        // At once: a drop without much of a plateau.
        let early = grok(&[20.0, 0.0, 0.0]).unwrap();
        assert_eq!((early.segment, early.plateau), (2, 1));
    }
}
