//! How a run stands at the moment that is looked at: one state, and one
//! sentence for it. Whatever tells of a run, a card, a chart or a screen
//! reader, asks here, so that no two of them can disagree.
//!
//! A state is about its moment alone. An outcome has a name only where there
//! is one: where the rules accept the grid, or at the end of the run.

use super::SegmentReport;
use crate::puzzle::{AnyPuzzle, Maze, Puzzle};
use crate::reason::modes::{Behaviour, Moment, WINDOW, judge};

/// What a run is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The puzzle: before the first segment.
    Waiting,
    /// Between two segments: nothing has come of it yet.
    UnderWay,
    /// The rules accept the grid.
    Solved,
    /// The end: a valid answer that is not the best one, such as a route that is
    /// longer than need be ([`Puzzle::is_valid`]).
    Valid,
    /// The end: the model says it is done, and the rules disagree.
    SureButWrong,
    /// The end: wrong, and board and state have come to rest.
    AtRest,
    /// The end: wrong, and the board stands still while the state moves.
    StandingStill,
    /// The end: wrong, and the board still changes.
    Wandering,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::UnderWay,
        Self::Solved,
        Self::Valid,
        Self::SureButWrong,
        Self::AtRest,
        Self::StandingStill,
        Self::Wandering,
    ];

    /// Whether something has come of the run.
    #[must_use]
    pub const fn is_outcome(self) -> bool {
        !matches!(self, Self::Waiting | Self::UnderWay)
    }

    /// Whether the run has ended without a solution.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.is_outcome() && !matches!(self, Self::Solved)
    }

    /// The name of an outcome, for people; nothing before there is one.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Waiting | Self::UnderWay => "",
            Self::Solved => "Solved",
            Self::Valid => "A route, but not the shortest",
            Self::SureButWrong => "Sure, but wrong",
            Self::AtRest => "Stuck",
            Self::StandingStill => "Standing still",
            Self::Wandering => "Still wandering",
        }
    }

    /// A short name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::UnderWay => "under-way",
            Self::Solved => "solved",
            Self::Valid => "valid",
            Self::SureButWrong => "wrong",
            Self::AtRest => "stuck",
            Self::StandingStill => "still",
            Self::Wandering => "wandering",
        }
    }
}

/// A run at a moment, with what there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub state: State,
    /// The segment that is looked at; 0 is the puzzle.
    pub segment: usize,
    /// The update inside it that is looked at, from 0; none for its end.
    pub update: Option<usize>,
    /// Segments that are known of the run.
    pub known: usize,
    /// The curve up to the moment, judged; none at the puzzle.
    pub behaviour: Option<Behaviour>,
    changed: usize,
    conflicts: u32,
    blanks: usize,
    keeps_givens: bool,
    /// What there is to say of a maze besides.
    route: Option<Route>,
}

/// The route that a network has marked, beside the shortest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Steps of the shortest way; none if there is none.
    pub shortest: Option<usize>,
    /// Steps from start to goal over what is marked, if it leads there and walls, start
    /// and goal are kept.
    pub marked: Option<usize>,
    /// Cells that are marked.
    pub cells: usize,
}

impl Route {
    /// The route marked in an answer to a maze.
    #[must_use]
    pub fn of(question: &Maze, answer: &Maze) -> Self {
        let kept = answer.keeps_givens(question);
        Self {
            shortest: question.distance(),
            marked: answer.marked_distance().filter(|_| kept),
            cells: answer.route_cells(),
        }
    }

    /// What is too much of it, as the end of a sentence.
    fn surplus(self) -> String {
        let (Some(steps), Some(shortest)) = (self.marked, self.shortest) else {
            return "the marked cells do not lead from the start to the goal".to_owned();
        };
        let more = (self.cells + 1).saturating_sub(steps);
        let more = count(
            more,
            "cell beside it is marked too",
            "cells beside it are marked too",
        );
        match more {
            None => format!("in {steps} steps, and the shortest has {shortest}"),
            Some(more) if steps == shortest => {
                format!("in {steps} steps, as few as can be, but {more}")
            }
            Some(more) => format!("in {steps} steps, and the shortest has {shortest}; {more}"),
        }
    }
}

impl Standing {
    /// The run at `puzzle` with these reports after segment `at`, if it is to take
    /// `limit` segments.
    #[must_use]
    pub fn of(puzzle: &AnyPuzzle, reports: &[SegmentReport], at: usize, limit: usize) -> Self {
        let known = reports.len();
        let at = at.min(known);
        let shown = &reports[..at];
        let moments: Vec<Moment> = shown.iter().map(Moment::from).collect();
        let behaviour = judge(&moments);
        let (last, judged) = match (shown.last(), behaviour) {
            (Some(last), Some(judged)) => (last, judged),
            _ => {
                return Self {
                    state: State::Waiting,
                    segment: 0,
                    update: None,
                    known,
                    behaviour: None,
                    changed: 0,
                    conflicts: 0,
                    blanks: 0,
                    keeps_givens: true,
                    route: None,
                };
            }
        };
        let route = puzzle.maze().and_then(|maze| {
            let answer = Maze::from_tokens(maze.size(), &last.grid).ok()?;
            Some(Route::of(maze, &answer))
        });
        let valid = route.is_some_and(|route| route.marked.is_some());
        let ends_here = at == known && known >= limit;
        let state = if last.solved {
            State::Solved
        } else if !ends_here {
            State::UnderWay
        } else if valid {
            State::Valid
        } else if last.halted {
            State::SureButWrong
        } else if judged.state_settled {
            State::AtRest
        } else if judged.grid_settled {
            State::StandingStill
        } else {
            State::Wandering
        };
        Self {
            state,
            segment: at,
            update: None,
            known,
            behaviour,
            changed: last.changed.len(),
            conflicts: last.conflicts,
            blanks: last.grid.iter().filter(|&&digit| digit == 0).count(),
            keeps_givens: last.keeps_givens,
            route,
        }
    }

    /// The route that is marked, of a maze and at the end of a segment.
    #[must_use]
    pub fn route(&self) -> Option<Route> {
        self.route.filter(|_| self.update.is_none())
    }

    /// The same run inside its segment: after an update that has changed so
    /// many cells and left so many conflicts. What is inside is on its way.
    #[must_use]
    pub fn inside(self, update: usize, changed: usize, conflicts: u32) -> Self {
        Self {
            state: State::UnderWay,
            update: Some(update),
            changed,
            conflicts,
            ..self
        }
    }

    /// The sentence of the state.
    #[must_use]
    pub fn sentence(&self) -> String {
        let n = self.segment;
        let after = match n {
            1 => "After 1 segment".to_owned(),
            n => format!("After {n} segments"),
        };
        let mut text = match self.state {
            State::Waiting => "In each segment it writes a new guess into every cell.".to_owned(),
            State::UnderWay => {
                let changed = count(self.changed, "cell changed", "cells changed");
                let changed = changed.unwrap_or_else(|| "nothing changed".to_owned());
                let (one, many) = match self.route {
                    Some(_) => ("fault in the route", "faults in the route"),
                    None => ("conflict", "conflicts"),
                };
                let conflicts = count(self.conflicts as usize, one, many);
                let conflicts = conflicts.unwrap_or_else(|| format!("no {one}"));
                let had = self.behaviour.and_then(|judged| judged.first_right);
                let had = had.filter(|&first| first < n && self.update.is_none());
                let had = had.map_or_else(String::new, |first| {
                    format!(" It had the solution in segment {first}, and left it.")
                });
                let update = self
                    .update
                    .map_or_else(String::new, |update| format!(", update {}", update + 1));
                format!("Segment {n}{update}: {changed}, {conflicts}.{had}")
            }
            State::Solved => {
                let since = self.behaviour.and_then(|judged| judged.right_for_good);
                let since = match since.filter(|&since| since < n) {
                    Some(since) => format!("Since segment {since}"),
                    None => after,
                };
                match self.route.and_then(|route| route.shortest) {
                    Some(steps) => format!("{since} a shortest route is marked: {steps} steps."),
                    None => format!(
                        "{since} every row, column and box is right and every given in its place."
                    ),
                }
            }
            State::Valid => {
                let surplus = self.route.map_or_else(String::new, Route::surplus);
                format!("{after} a route leads from the start to the goal {surplus}.")
            }
            State::SureButWrong => {
                format!("The network says it is done, yet {}.", self.faults())
            }
            State::AtRest => format!(
                "{after} the network has come to rest at a wrong answer: {}.",
                self.faults()
            ),
            State::StandingStill => format!(
                "{after} the board has not changed for {}, though the network's state still moves: {}.",
                count(WINDOW.min(n.saturating_sub(1)), "segment", "segments").unwrap_or_default(),
                self.faults()
            ),
            State::Wandering => format!(
                "{after} the network has not settled on an answer: {}.",
                self.faults()
            ),
        };
        if n > 0 && n < self.known {
            text.push_str(&format!(" The run went on to segment {}.", self.known));
        }
        text
    }

    /// What is wrong with the grid, as the end of a sentence.
    fn faults(&self) -> String {
        let maze = self.route.is_some();
        let (one, many) = match maze {
            true => ("fault is left in it", "faults are left in it"),
            false => ("conflict is left", "conflicts are left"),
        };
        let no_way = maze.then(|| "no route leads from the start to the goal".to_owned());
        let conflicts = count(self.conflicts as usize, one, many);
        let blanks = count(self.blanks, "cell is empty", "cells are empty");
        let given = match maze {
            true => "a wall, the start or the goal was changed",
            false => "a given was overwritten",
        };
        let givens = (!self.keeps_givens).then(|| given.to_owned());
        let faults = [no_way, conflicts, blanks, givens];
        let faults: Vec<String> = faults.into_iter().flatten().collect();
        match faults.as_slice() {
            [] => "the grid breaks no rule".to_owned(),
            [one] => one.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        }
    }
}

/// So many of something; none for nothing.
fn count(n: usize, one: &str, many: &str) -> Option<String> {
    match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::modes::{AT_REST, Mode};

    /// What reports of a Sudoku are about does not matter here.
    fn sudoku() -> AnyPuzzle {
        "................".parse().unwrap()
    }

    /// A maze with a way of 4 steps, and reports of this answer.
    fn routes(answer: &str, length: usize) -> (AnyPuzzle, Vec<SegmentReport>) {
        let question: AnyPuzzle = "S   #   G".parse().unwrap();
        let answer: AnyPuzzle = answer.parse().unwrap();
        let report = |n| SegmentReport {
            grid: answer.values(),
            conflicts: answer.conflicts(),
            keeps_givens: answer.keeps_givens(&question),
            solved: answer.solves(&question),
            ..report(n, 1, 0.3)
        };
        let reports = (1..=length).map(report).collect();
        (question, reports)
    }

    #[test]
    fn of_a_maze_routes_are_told_apart() {
        for (answer, state, sentence) in [
            (
                "Soo #o  G",
                State::Solved,
                "Since segment 1 a shortest route is marked: 4 steps.",
            ),
            (
                "Soo #o oG",
                State::Valid,
                "After 2 segments a route leads from the start to the goal in 4 steps, as few as can be, but 1 cell beside it is marked too.",
            ),
            (
                "So  #   G",
                State::Wandering,
                "After 2 segments the network has not settled on an answer: no route leads from the start to the goal and 3 faults are left in it.",
            ),
            ("Sooo#o  G", State::Valid, ""),
            (
                "S  oo   G",
                State::Wandering,
                "a wall, the start or the goal was changed.",
            ),
        ] {
            let (question, reports) = routes(answer, 2);
            let standing = Standing::of(&question, &reports, 2, 2);
            assert_eq!(standing.state, state, "{answer}");
            let said = standing.sentence();
            assert!(said.ends_with(sentence), "{said}");
            let then = Standing::of(&question, &reports, 1, 2).sentence();
            assert!(
                state == State::Solved || then.contains("in the route"),
                "{then}"
            );
        }
        let question: AnyPuzzle = "S      G ".parse().unwrap();
        let (_, reports) = routes("SooooooG ", 2);
        let standing = Standing::of(&question, &reports, 2, 2);
        let route = standing.route().unwrap();
        assert_eq!(
            (route.shortest, route.marked, route.cells),
            (Some(3), Some(3), 6)
        );
    }

    fn report(segment: usize, changed: usize, residual: f32) -> SegmentReport {
        SegmentReport {
            segment,
            grid: vec![1, 2, 0],
            changed: (0..changed).collect(),
            conflicts: 3,
            keeps_givens: true,
            q_halt: -1.0,
            q_continue: None,
            residual,
            halted: false,
            solved: false,
            committed: vec![],
        }
    }

    fn run(length: usize, changed: usize, residual: f32) -> Vec<SegmentReport> {
        (1..=length).map(|n| report(n, changed, residual)).collect()
    }

    #[test]
    fn every_state_has_a_run_and_one_sentence() {
        let of = |reports: &[SegmentReport]| Standing::of(&sudoku(), reports, reports.len(), 8);
        let mut sure = run(8, 2, 0.3);
        sure[7].halted = true;
        sure[7].keeps_givens = false;
        let mut solved = run(3, 2, 0.3);
        solved[2].solved = true;
        let seen = [
            of(&[]),
            of(&run(5, 2, 0.3)),
            of(&solved),
            {
                let (question, reports) = routes("Soo #o oG", 8);
                Standing::of(&question, &reports, 8, 8)
            },
            of(&sure),
            of(&run(8, 0, 0.01)),
            of(&run(8, 0, 0.3)),
            of(&run(8, 1, 0.3)),
        ];
        assert_eq!(seen.clone().map(|standing| standing.state), State::ALL);
        let said = seen.map(|standing| {
            assert_eq!(
                standing.state.is_outcome(),
                !standing.state.title().is_empty()
            );
            assert!(!standing.state.name().is_empty());
            standing.sentence()
        });
        assert_eq!(
            said,
            [
                "In each segment it writes a new guess into every cell.",
                "Segment 5: 2 cells changed, 3 conflicts.",
                "After 3 segments every row, column and box is right and every given in its place.",
                "After 8 segments a route leads from the start to the goal in 4 steps, as few as can be, but 1 cell beside it is marked too.",
                "The network says it is done, yet 3 conflicts are left, 1 cell is empty and a given was overwritten.",
                "After 8 segments the network has come to rest at a wrong answer: 3 conflicts are left and 1 cell is empty.",
                "After 8 segments the board has not changed for 4 segments, though the network's state still moves: 3 conflicts are left and 1 cell is empty.",
                "After 8 segments the network has not settled on an answer: 3 conflicts are left and 1 cell is empty.",
            ]
        );
    }

    #[test]
    fn what_is_said_is_about_the_moment_looked_at() {
        let mut reports = run(16, 0, 0.01);
        reports[15].solved = true;
        for at in 1..16 {
            let then = Standing::of(&sudoku(), &reports, at, 16);
            // At rest all along, and yet no failure: it was on its way.
            assert_eq!((then.state, then.segment), (State::UnderWay, at));
            assert!(
                then.sentence().ends_with("The run went on to segment 16."),
                "{}",
                then.sentence()
            );
        }
        assert_eq!(
            Standing::of(&sudoku(), &reports, 0, 16).state,
            State::Waiting
        );
        let inside = Standing::of(&sudoku(), &reports, 16, 16).inside(1, 0, 5);
        assert_eq!(inside.state, State::UnderWay);
        assert_eq!(
            inside.sentence(),
            "Segment 16, update 2: nothing changed, 5 conflicts."
        );
        assert_eq!(
            Standing::of(&sudoku(), &reports, 99, 16).state,
            State::Solved
        );
        // Chosen to go on: what had come of it has not come of it any more.
        let failed = run(8, 1, 0.3);
        assert_eq!(
            Standing::of(&sudoku(), &failed, 8, 8).state,
            State::Wandering
        );
        assert_eq!(
            Standing::of(&sudoku(), &failed, 8, 16).state,
            State::UnderWay
        );
        assert_eq!(
            Standing::of(&sudoku(), &failed, 7, 8).state,
            State::UnderWay
        );
    }

    #[test]
    fn a_solution_can_be_kept_or_left() {
        let mut reports = run(6, 1, 0.3);
        for at in [1, 2, 4, 5] {
            reports[at].solved = true;
        }
        let said = |at: usize| Standing::of(&sudoku(), &reports, at, 6).sentence();
        assert!(
            said(2).starts_with("After 2 segments every row"),
            "{}",
            said(2)
        );
        assert!(
            said(3).starts_with("Since segment 2 every row"),
            "{}",
            said(3)
        );
        assert!(
            said(4).contains("It had the solution in segment 2, and left it."),
            "{}",
            said(4)
        );
        assert!(said(6).starts_with("Since segment 5"), "{}", said(6));
    }

    /// The names of this module and the modes of [`crate::reason::modes`] speak
    /// of the same thing by the same rules.
    #[test]
    fn states_and_modes_agree() {
        for length in 1..12 {
            for changed in [0, 1] {
                for residual in [0.01, 0.04, 0.06, 1.0] {
                    for (solved, halted) in [(false, false), (false, true), (true, false)] {
                        let mut reports = run(length, changed, residual);
                        reports[length - 1].solved = solved;
                        reports[length - 1].halted = halted;
                        let standing = Standing::of(&sudoku(), &reports, length, length);
                        let mode = standing.behaviour.unwrap().mode;
                        let success =
                            matches!(mode, Mode::TrivialSuccess | Mode::NontrivialSuccess);
                        assert_eq!(success, standing.state == State::Solved);
                        let rests = f64::from(residual) < AT_REST && length > 1;
                        match standing.state {
                            State::AtRest => assert_eq!(mode, Mode::NontrivialFailure),
                            State::Wandering | State::StandingStill => {
                                assert_eq!(mode, Mode::TrivialFailure);
                                assert!(!rests);
                            }
                            _ => assert!(solved || halted),
                        }
                    }
                }
            }
        }
    }
}
