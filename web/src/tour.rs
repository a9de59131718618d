//! What the guided tour says. Each step has a puzzle, found by running the
//! models that ship (`hrm demo`); what is said of a run is said of the run
//! that the visitor's own processor has just made, whatever came of it.

use std::cmp::Ordering;

use hrm_core::puzzle::Board;
use hrm_core::reason::modes::Behaviour;
use hrm_core::reason::{SegmentReport, Standing, State};
use serde::Deserialize;

/// Number of steps.
pub const STEPS: usize = 6;

/// The puzzles of the tour: what the page needs of [`hrm_core::reason::Tour`].
#[derive(Debug, Clone, Deserialize)]
pub struct Puzzles {
    model: String,
    segments: usize,
    leap: Leap,
    trap: Option<Asked>,
    vote: Option<Asked>,
    one_blank: Vec<OneBlank>,
}

#[derive(Debug, Clone, Deserialize)]
struct Leap {
    model: String,
    puzzle: Board,
    solved_at: usize,
}

#[derive(Debug, Clone, Deserialize)]
struct Asked {
    puzzle: Board,
}

#[derive(Debug, Clone, Deserialize)]
struct OneBlank {
    model: String,
    example: Option<Board>,
}

/// What a step puts on the board.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Folder name of the model.
    pub model: String,
    /// The puzzle.
    pub puzzle: Board,
    /// The segment to be looked at, or the last one if the run ends before.
    pub segment: usize,
}

impl Puzzles {
    /// The puzzles that the page comes with.
    #[must_use]
    pub fn new() -> Option<Self> {
        serde_json::from_str(include_str!("tour.json")).ok()
    }

    /// What a step shows.
    #[must_use]
    pub fn scene(&self, step: usize) -> Option<Scene> {
        let leap = &self.leap;
        let mut model = &self.model;
        let (puzzle, segment) = match step {
            1..=3 => {
                model = &leap.model;
                let segment = match step {
                    1 => 1,
                    2 => leap.solved_at.saturating_sub(2).max(1),
                    _ => leap.solved_at,
                };
                (&leap.puzzle, segment)
            }
            4 => (&self.trap.as_ref()?.puzzle, self.segments),
            5 => (&self.vote.as_ref()?.puzzle, self.segments),
            6 => {
                let shown = self.one_blank.iter();
                let (of, example) = shown
                    .filter_map(|f| Some((f, f.example.as_ref()?)))
                    .next()?;
                model = &of.model;
                (example, self.segments)
            }
            _ => return None,
        };
        Some(Scene {
            model: model.clone(),
            puzzle: puzzle.clone(),
            segment,
        })
    }
}

/// The name of a step.
#[must_use]
pub fn title(step: usize) -> &'static str {
    match step {
        1 => "A segment",
        2 => "The plateau",
        3 => "The drop",
        4 => "The trap",
        5 => "Rename and vote",
        _ => "One blank cell",
    }
}

/// What has been run for a step, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// How the run on the board stands, at the moment that is looked at.
    pub standing: &'a Standing,
    /// Its reports.
    pub run: &'a [SegmentReport],
    /// The runs of the race or the experiment of the step, and whether they
    /// have come to their end; none if there are none about this puzzle.
    pub batch: Option<(&'a [Vec<SegmentReport>], bool)>,
}

impl Made<'_> {
    fn looked_at(&self) -> &[SegmentReport] {
        &self.run[..self.standing.segment.min(self.run.len())]
    }

    fn settled(&self, of: impl Fn(&Behaviour) -> bool) -> bool {
        self.standing.behaviour.as_ref().is_some_and(of)
    }
}

/// What a step says.
#[must_use]
pub fn text(step: usize, made: Made<'_>) -> String {
    match step {
        1 => "The network does not fill in one cell after the other. In each segment it looks at its last guess and writes a new one into every cell at once. This is its first.".to_owned(),
        2 => plateau(made),
        3 => drop(made),
        4 => trap(made),
        5 => renamed(made),
        _ => one_blank(made),
    }
}

fn plateau(made: Made<'_>) -> String {
    let shown = made.looked_at();
    let conflicts = || shown.iter().map(|report| report.conflicts);
    match (conflicts().min(), conflicts().max()) {
        _ if shown.iter().any(|report| report.solved) => {
            "On some processors this run lingers for a dozen segments. On this one it has found the solution already.".to_owned()
        }
        (Some(low), Some(high)) => format!(
            "For {} it gets nowhere: digits come and go, and between {low} and {high} conflicts are left. It rearranges its guess without getting closer.",
            segments(shown.len())
        ),
        _ => "For a while it gets nowhere: digits come and go.".to_owned(),
    }
}

fn drop(made: Made<'_>) -> String {
    let solved = made.looked_at().iter().find(|report| report.solved);
    match solved {
        Some(report) => format!(
            "Then, in segment {}, everything falls into place at once. Nothing told it the rules, and nothing searched.",
            report.segment
        ),
        None if made.standing.segment == 0 => {
            "Then everything falls into place at once.".to_owned()
        }
        None => format!(
            "Then, on most processors, everything falls into place at once. Here it has not after {}: sums differ in their last digits, and what follows from them. “Go on” shows what comes of it.",
            segments(made.standing.segment)
        ),
    }
}

fn trap(made: Made<'_>) -> String {
    let can = "Networks like this one can come to rest at a wrong answer.";
    let n = segments(made.standing.segment);
    match made.standing.state {
        State::Solved => format!("{can} Here this run finds the solution after all."),
        State::Waiting | State::UnderWay => can.to_owned(),
        _ if made.settled(|judged| judged.grid_settled) => {
            let last = made.looked_at().iter().rfind(|r| !r.changed.is_empty());
            let since = last.map_or(0, |report| report.segment);
            let done = if made.standing.state == State::SureButWrong {
                " It says that it is done."
            } else {
                ""
            };
            let state = if made.settled(|judged| judged.state_settled) {
                "its state has come to rest too: a false fixed point"
            } else {
                "its state still moves a little, and gets nowhere"
            };
            let conflicts = made.looked_at().last().map_or(0, |report| report.conflicts);
            format!(
                "It is trapped at a wrong answer: after segment {since} nothing on the board changes any more, with {conflicts} conflicts left, and {state}.{done}"
            )
        }
        _ => format!("{can} This run has not, on this processor: after {n} it still wanders."),
    }
}

fn renamed(made: Made<'_>) -> String {
    let same =
        "With its digits renamed in a circle it is the same puzzle to us, but not to the network.";
    let Some((runs, over)) = made.batch else {
        return same.to_owned();
    };
    let solved = runs.iter().filter(|run| ends_solved(run)).count();
    let plain = match runs.first() {
        Some(run) if ends_solved(run) => "As it stands it is solved.",
        _ => "As it stands it is not solved.",
    };
    if !over {
        return format!(
            "{same} The {} versions race below: {solved} are solved so far.",
            runs.len()
        );
    }
    let vote = match (2 * solved).cmp(&runs.len()) {
        Ordering::Greater => " So several guesses can vote.",
        _ => " A vote would not find it; the rules, which check every answer, do.",
    };
    let vote = if solved == 0 { "" } else { vote };
    format!(
        "{plain} {same} Of the {} versions below, {solved} are solved.{vote}",
        runs.len()
    )
}

fn one_blank(made: Made<'_>) -> String {
    let claim = "A grid with a single blank is trivial, and the published HRM can fail at it.";
    let this = match made.standing.state {
        State::Waiting | State::UnderWay => String::new(),
        State::Solved => format!(
            " This one is solved, after {}.",
            segments(made.standing.segment)
        ),
        _ => format!(
            " This one is not solved after {}.",
            segments(made.standing.segment)
        ),
    };
    let all = match made.batch {
        Some((runs, true)) => {
            let failed = runs.iter().filter(|run| !ends_solved(run)).count();
            let failed = match failed {
                0 => "every one was solved".to_owned(),
                1 => "1 was not solved".to_owned(),
                n => format!("{n} were not solved"),
            };
            format!(
                " Of the {} grids with one blank that were tried below, {failed}.",
                runs.len()
            )
        }
        _ => String::new(),
    };
    format!("{claim}{this}{all}")
}

fn ends_solved(run: &[SegmentReport]) -> bool {
    run.last().is_some_and(|report| report.solved)
}

fn segments(n: usize) -> String {
    match n {
        1 => "1 segment".to_owned(),
        n => format!("{n} segments"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(segment: usize, conflicts: u32, changed: usize, solved: bool) -> SegmentReport {
        SegmentReport {
            segment,
            grid: vec![1; 16],
            changed: (0..changed).collect(),
            conflicts,
            keeps_givens: true,
            q_halt: 0.0,
            q_continue: None,
            residual: 0.3,
            halted: false,
            solved,
            committed: vec![],
        }
    }

    fn said(step: usize, run: &[SegmentReport], limit: usize) -> String {
        let standing = Standing::of(&"................".parse().unwrap(), run, run.len(), limit);
        let made = Made {
            standing: &standing,
            run,
            batch: None,
        };
        text(step, made)
    }

    #[test]
    fn every_step_has_a_scene() {
        let puzzles = Puzzles::new().unwrap();
        for step in 1..=STEPS {
            let scene = puzzles.scene(step).unwrap();
            assert!(scene.segment > 0 && scene.puzzle.blanks() > 0, "{step}");
            assert!(!title(step).is_empty());
            assert!(!said(step, &[], 16).is_empty());
        }
        assert_eq!(puzzles.scene(STEPS + 1), None);
        assert_eq!(puzzles.scene(6).unwrap().puzzle.blanks(), 1);
    }

    #[test]
    fn what_is_said_is_what_was_run() {
        let mut run: Vec<_> = (1..=12)
            .map(|n| report(n, 30 - n as u32, 3, false))
            .collect();
        assert!(said(2, &run, 16).contains("For 12 segments it gets nowhere"));
        assert!(said(2, &run, 16).contains("between 18 and 29 conflicts"));
        assert!(said(3, &run, 16).contains("Here it has not after 12 segments"));
        assert!(said(4, &run, 12).contains("after 12 segments it still wanders"));
        assert!(said(6, &run, 12).ends_with("This one is not solved after 12 segments."));
        run.push(report(13, 0, 30, true));
        assert!(said(3, &run, 16).starts_with("Then, in segment 13, "));
        assert!(said(2, &run, 16).contains("found the solution already"));
        assert!(said(4, &run, 16).contains("finds the solution"));
        assert!(said(6, &run, 16).ends_with("This one is solved, after 13 segments."));
        let mut stuck: Vec<_> = (1..=16).map(|n| report(n, 3, 0, false)).collect();
        stuck[3].changed = vec![1];
        let trapped = said(4, &stuck, 16);
        assert!(
            trapped.contains("after segment 4 nothing on the board changes"),
            "{trapped}"
        );
        assert!(
            trapped.contains("with 3 conflicts left, and its state still moves"),
            "{trapped}"
        );
        for report in &mut stuck {
            report.residual = 0.01;
        }
        assert!(said(4, &stuck, 16).contains("a false fixed point"));
    }

    #[test]
    fn races_and_trials_are_counted() {
        let runs: Vec<Vec<_>> = (0..9).map(|i| vec![report(1, 0, 0, i > 2)]).collect();
        let standing = Standing::of(&"................".parse().unwrap(), &runs[0], 1, 1);
        let told = |step, runs: &[Vec<SegmentReport>], over| {
            let made = Made {
                standing: &standing,
                run: &[],
                batch: Some((runs, over)),
            };
            text(step, made)
        };
        let voted = told(5, &runs, true);
        assert!(
            voted.starts_with("As it stands it is not solved."),
            "{voted}"
        );
        assert!(
            voted.contains("Of the 9 versions below, 6 are solved. So several"),
            "{voted}"
        );
        assert!(told(5, &runs, false).contains("6 are solved so far"));
        assert!(told(5, &runs[..5], true).contains("A vote would not"));
        assert!(told(6, &runs, true).ends_with("tried below, 3 were not solved."));
        assert!(told(6, &runs[3..], true).ends_with("tried below, every one was solved."));
    }
}
