//! What a run's curve tells: its mode, with the rule that named it, whether
//! it has settled, its plateau and its grok.

use hrm_core::reason::SegmentReport;
use hrm_core::reason::modes::{
    AT_ONCE, AT_REST, Behaviour, Grok, Mode, Moment, WINDOW, grok, judge,
};

/// The judgement of a run so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Story {
    /// Mode and settledness.
    pub behaviour: Behaviour,
    /// The one steep drop of E, if there is one.
    pub grok: Option<Grok>,
}

impl Story {
    /// The story of a run; none without segments.
    #[must_use]
    pub fn of(reports: &[SegmentReport]) -> Option<Self> {
        let moments: Vec<Moment> = reports.iter().map(Moment::from).collect();
        let conflicts: Vec<f64> = reports.iter().map(|r| f64::from(r.conflicts)).collect();
        Some(Self {
            behaviour: judge(&moments)?,
            grok: grok(&conflicts),
        })
    }

    /// The mode's name, beginning with a capital.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = self.behaviour.mode.name().to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        name
    }

    /// The rule that named the mode.
    #[must_use]
    pub fn rule(&self) -> String {
        let since = self.behaviour.right_for_good.unwrap_or_default();
        match self.behaviour.mode {
            Mode::TrivialSuccess => {
                format!("right for good from segment {since} on, so within {AT_ONCE} segments")
            }
            Mode::NontrivialSuccess => {
                format!("right for good from segment {since} on, so later than segment {AT_ONCE}")
            }
            Mode::TrivialFailure => format!(
                "not right, and z_H still moved by {AT_REST} or more in one of the last {WINDOW} segments"
            ),
            Mode::NontrivialFailure => format!(
                "not right, and z_H moved by less than {AT_REST} in each of the last {WINDOW} segments: a false fixed point"
            ),
        }
    }

    /// Whether it has settled, in a word.
    #[must_use]
    pub fn settled(&self) -> &'static str {
        match (self.behaviour.state_settled, self.behaviour.grid_settled) {
            (true, _) => "settled",
            (false, true) => "board settled, state still moving",
            (false, false) if self.behaviour.right_for_good.is_some() => "right, still moving",
            (false, false) => "still moving",
        }
    }
}

/// Ends of a logarithmic axis for residuals: powers of ten around all of them
/// and [`AT_REST`], at most from 0.0001 to 10.
#[must_use]
pub fn residual_decades(reports: &[SegmentReport]) -> (i32, i32) {
    let logs = reports
        .iter()
        .map(|report| f64::from(report.residual))
        .filter(|&residual| residual > 0.0)
        .map(f64::log10);
    let (low, high) = logs.fold((AT_REST.log10(), 0.0_f64), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    (
        (low.floor() as i32).clamp(-4, -2),
        (high.ceil() as i32).clamp(0, 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(segment: usize, conflicts: u32, residual: f32, solved: bool) -> SegmentReport {
        SegmentReport {
            segment,
            grid: vec![],
            changed: vec![0],
            conflicts,
            keeps_givens: true,
            q_halt: 0.0,
            q_continue: None,
            residual,
            halted: false,
            solved,
            committed: vec![],
        }
    }

    #[test]
    fn stories_name_their_rule() {
        assert_eq!(Story::of(&[]), None);
        let at_once = Story::of(&[report(1, 0, 1.0, true)]).unwrap();
        assert_eq!(at_once.name(), "Trivial success");
        assert!(at_once.rule().contains("segment 1"));

        let mut reports: Vec<_> = (1..=7).map(|n| report(n, 20, 0.2, false)).collect();
        let wandering = Story::of(&reports).unwrap();
        assert_eq!(wandering.name(), "Trivial failure");
        assert_eq!(wandering.settled(), "still moving");
        reports.push(report(8, 0, 0.2, true));
        let leap = Story::of(&reports).unwrap();
        assert_eq!(leap.name(), "Non-trivial success");
        assert!(leap.rule().contains("segment 8"));
        assert_eq!(leap.settled(), "right, still moving");
        let grok = leap.grok.unwrap();
        assert_eq!((grok.segment, grok.plateau), (8, 7));

        let stuck: Vec<_> = (1..=9).map(|n| report(n, 6, 0.01, false)).collect();
        let stuck = Story::of(&stuck).unwrap();
        assert_eq!(stuck.name(), "Non-trivial failure");
        assert!(stuck.rule().ends_with("false fixed point"));
        assert_eq!(stuck.settled(), "settled");
    }

    #[test]
    fn decades_hold_all_residuals() {
        assert_eq!(residual_decades(&[]), (-2, 0));
        let reports = [report(1, 0, 1.4, false), report(2, 0, 0.004, false)];
        assert_eq!(residual_decades(&reports), (-3, 1));
        assert_eq!(residual_decades(&[report(1, 0, 0.0, false)]), (-2, 0));
    }
}
