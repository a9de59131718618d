//! Mazes: what a drawing shows of one and of a network's route through it, what is said
//! of a cell, and the tools to draw one with.

use hrm_core::puzzle::maze::Cell;
use hrm_core::puzzle::{Fault, Maze, Puzzle};
use hrm_core::reason::{Route, SegmentReport};

use crate::draw::{Anchor, Drawing};
use crate::mini::CELL;
use crate::timeline::CellState;

/// Mazes up to this side get lines between their cells.
const LINED: usize = 40;

/// What a press on the board does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tool {
    /// Looks at the cell.
    #[default]
    Look,
    /// Writes that into the cell.
    Draw(Cell),
}

impl Tool {
    /// Every tool with its name and what it is called.
    pub const ALL: [(&'static str, &'static str, Self); 5] = [
        ("look", "Look", Self::Look),
        ("wall", "Wall", Self::Draw(Cell::Wall)),
        ("way", "Way", Self::Draw(Cell::Way)),
        ("start", "Start", Self::Draw(Cell::Start)),
        ("goal", "Goal", Self::Draw(Cell::Goal)),
    ];

    /// What a key writes into the cell at the cursor.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Cell> {
        Some(match key {
            "#" | "w" | "W" => Cell::Wall,
            "." | "Backspace" | "Delete" => Cell::Way,
            "s" | "S" => Cell::Start,
            "g" | "G" => Cell::Goal,
            _ => return None,
        })
    }
}

/// The cells from one to another of a maze of that side, without the first: a stroke is
/// told of from time to time only.
#[must_use]
pub fn between(side: usize, from: usize, to: usize) -> Vec<usize> {
    let place = |cell: usize| [(cell / side) as isize, (cell % side) as isize];
    let (a, b) = (place(from), place(to));
    let steps = (0..2)
        .map(|k| (b[k] - a[k]).abs())
        .max()
        .unwrap_or(0)
        .max(1);
    let cell = |step: isize| {
        let [row, column] = [0, 1].map(|k| {
            let by = (b[k] - a[k]) * step;
            // Rounded, also where it leads back.
            a[k] + (2 * by + steps * by.signum()) / (2 * steps)
        });
        (row * side as isize + column) as usize
    };
    (1..=steps).map(cell).collect()
}

/// What the marks of a board mean, each with its drawing in a cell of its own.
#[must_use]
pub fn legend() -> [(String, &'static str); 7] {
    let drawn = |class: &str, path: &str| {
        let mut d = Drawing::new();
        d.path(class, path);
        d.svg()
    };
    [
        (drawn("maze-wall", WHOLE), "wall"),
        (
            drawn("maze-route", WHOLE) + &drawn("maze-line", "M0 5h10"),
            "route",
        ),
        (
            drawn("maze-changed", WHOLE) + &drawn("maze-corner", &format!("M0 0{CORNER}")),
            "changed",
        ),
        (
            drawn("maze-route", WHOLE) + &drawn("maze-fault", &format!("M0 0{CROSS}")),
            "gap or branch",
        ),
        (
            drawn("maze-route", WHOLE) + &drawn("maze-loose", "M0 5h10"),
            "not joined to the start",
        ),
        (
            drawn("maze-route", WHOLE) + &drawn("maze-detour", &format!("M0 0{DIAMOND}")),
            "detour",
        ),
        (
            drawn("maze-wall", WHOLE) + &drawn("maze-over", &format!("M0 0{FRAME}")),
            "changed from the maze’s",
        ),
    ]
}

/// Strokes from a cell's upper left corner: all of it, and the marks on it.
const WHOLE: &str = "M0 0h10v10h-10z";
const CORNER: &str = "m10 0v3.6l-3.6 -3.6z";
const CROSS: &str = "m2.4 2.4l5.2 5.2m0 -5.2l-5.2 5.2";
const DIAMOND: &str = "m5 3.2l1.8 1.8l-1.8 1.8l-1.8 -1.8z";
const DOT: &str = "m3 3h4v4h-4z";
const FRAME: &str = "m1 1h8v8h-8z";

/// What a content is called.
#[must_use]
pub const fn name(cell: Cell) -> &'static str {
    match cell {
        Cell::Wall => "wall",
        Cell::Way => "way",
        Cell::Start => "start",
        Cell::Goal => "goal",
        Cell::Route => "route",
    }
}

/// Contents of a maze's cell in the order of their tokens, of which the first is 1.
pub const CONTENTS: [Cell; 5] = [Cell::Wall, Cell::Way, Cell::Start, Cell::Goal, Cell::Route];

/// A maze with a route of which the cells are told apart.
struct Sketch<'a> {
    question: &'a Maze,
    answer: Maze,
    faults: Vec<Fault>,
    /// Cells that marked cells join to the start.
    joined: Vec<bool>,
    side: usize,
}

impl<'a> Sketch<'a> {
    /// The answer that values spell; the question where they spell none.
    fn new(question: &'a Maze, values: &[u8]) -> Self {
        let size = question.size();
        let answer = Maze::from_tokens(size, values).unwrap_or_else(|_| question.clone());
        Self {
            faults: answer.faults(question),
            joined: answer.joined_to_start(),
            question,
            answer,
            side: size.side(),
        }
    }

    fn place(&self, cell: usize) -> [f64; 2] {
        [cell % self.side, cell / self.side].map(|i| i as f64 * CELL)
    }

    /// A path over the cells for which it holds, a rectangle a run of them.
    fn area(&self, holds: impl Fn(usize) -> bool) -> String {
        let mut path = String::new();
        for row in 0..self.side {
            let mut column = 0;
            while column < self.side {
                let length = (column..self.side)
                    .take_while(|c| holds(row * self.side + c))
                    .count();
                if length > 0 {
                    let [x, y] = self.place(row * self.side + column);
                    let width = length as f64 * CELL;
                    path.push_str(&format!("M{x} {y}h{width}v{CELL}h-{width}z"));
                }
                column += length.max(1);
            }
        }
        path
    }

    /// A path that draws the same strokes, `d` from a cell's upper left corner, in each
    /// cell for which it holds.
    fn strokes(&self, d: &str, holds: impl Fn(usize) -> bool) -> String {
        let cells = (0..self.question.size().cells()).filter(|&cell| holds(cell));
        cells
            .map(|cell| {
                let [x, y] = self.place(cell);
                format!("M{x} {y}{d}")
            })
            .collect()
    }

    fn is_on_route(&self, cell: usize) -> bool {
        matches!(
            self.answer.cells().get(cell),
            Some(Cell::Route | Cell::Start | Cell::Goal)
        )
    }

    /// Lines between the middles of neighbouring cells of the route: of its parts that are
    /// joined to the start, or of the others.
    fn line(&self, joined: bool) -> String {
        let mut path = String::new();
        let cells = 0..self.question.size().cells();
        for cell in cells.filter(|&c| self.is_on_route(c) && self.joined[c] == joined) {
            let [x, y] = self.place(cell).map(|at| at + CELL / 2.0);
            if (cell + 1) % self.side != 0 && self.is_on_route(cell + 1) {
                path.push_str(&format!("M{x} {y}h{CELL}"));
            }
            if self.is_on_route(cell + self.side) {
                path.push_str(&format!("M{x} {y}v{CELL}"));
            }
        }
        path
    }

    /// What is below everything: walls, and the route.
    fn ground(&self, d: &mut Drawing) {
        let route = |cell: usize| self.answer.cells()[cell] == Cell::Route;
        d.path(
            "maze-wall",
            &self.area(|cell| self.question.cells()[cell] == Cell::Wall),
        )
        .path("maze-route", &self.area(route));
    }

    /// The route's line, its ends, and what is wrong.
    fn marks(&self, d: &mut Drawing) {
        let faults = &self.faults;
        let fault = |of: Fault| move |cell: usize| faults[cell] == of;
        let says_wall = |cell: usize| {
            self.answer.cells()[cell] == Cell::Wall && self.question.cells()[cell] != Cell::Wall
        };
        // Loose parts are seen by their lines.
        let broken = |cell: usize| matches!(self.faults[cell], Fault::Gap | Fault::Branch);
        d.path("maze-loose", &self.line(false))
            .path("maze-line", &self.line(true))
            .path("maze-detour", &self.strokes(DIAMOND, fault(Fault::Detour)))
            .path("maze-fault", &self.strokes(CROSS, broken))
            .path("maze-said", &self.strokes(DOT, says_wall))
            .path("maze-over", &self.strokes(FRAME, fault(Fault::Changed)));
        for (end, letter) in [(Cell::Start, "S"), (Cell::Goal, "G")] {
            let place = self.question.cells().iter().position(|&c| c == end);
            let Some(place) = place else { continue };
            let [x, y] = self.place(place).map(|at| at + CELL / 2.0);
            d.circle("maze-end", [x, y], 4.4).text(
                "maze-letter",
                Anchor::Middle,
                [x, y + 2.5],
                letter,
            );
        }
    }

    fn frame(&self, d: &mut Drawing) {
        let length = self.side as f64 * CELL;
        d.rect("mini-frame", [0.0, 0.0], [length, length]);
    }
}

/// A maze as it is looked at on the board.
#[must_use]
pub fn board(question: &Maze, cells: &[CellState]) -> String {
    let values: Vec<u8> = cells.iter().map(|cell| cell.digit).collect();
    let sketch = Sketch::new(question, &values);
    let mut d = Drawing::new();
    sketch.ground(&mut d);
    let changed = |cell: usize| cells.get(cell).is_some_and(|state| state.changed);
    d.path("maze-changed", &sketch.area(changed));
    if sketch.side <= LINED {
        let length = sketch.side as f64 * CELL;
        let lines = (1..sketch.side).map(|i| {
            let at = i as f64 * CELL;
            format!("M0 {at}h{length}M{at} 0v{length}")
        });
        d.path("mini-thin", &lines.collect::<String>());
    }
    sketch.marks(&mut d);
    d.path("maze-corner", &sketch.strokes(CORNER, changed));
    sketch.frame(&mut d);
    d.svg()
}

/// A small picture of an answer to a maze, with the cells that a guess has committed
/// itself to.
#[must_use]
pub fn small(question: &Maze, values: &[u8], own: &[usize]) -> String {
    let sketch = Sketch::new(question, values);
    let mut d = Drawing::new();
    sketch.ground(&mut d);
    d.path("mini-own", &sketch.area(|cell| own.contains(&cell)));
    sketch.marks(&mut d);
    sketch.frame(&mut d);
    d.svg()
}

/// How many of the runs mark each cell as the route after their last segments: the more
/// do, the fuller its colour.
#[must_use]
pub fn shares(question: &Maze, runs: &[Vec<SegmentReport>]) -> String {
    let sketch = Sketch::new(question, &question.tokens());
    let begun = runs.iter().filter(|run| !run.is_empty()).count().max(1);
    let mut counts = vec![0_usize; question.size().cells()];
    for report in runs.iter().filter_map(|run| run.last()) {
        for (count, &value) in counts.iter_mut().zip(&report.grid) {
            *count += usize::from(value == Cell::Route as u8);
        }
    }
    let mut d = Drawing::new();
    sketch.ground(&mut d);
    for (cell, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let opacity = 0.15 + 0.85 * count as f32 / begun as f32;
        d.faint_rect("maze-share", sketch.place(cell), [CELL, CELL], opacity);
    }
    sketch.marks(&mut d);
    sketch.frame(&mut d);
    d.svg()
}

/// How the answers with one unmarked cell stand: the cell's colour says whether the rest
/// was completed. `cells` are those of the items in their order.
#[must_use]
pub fn one_open(question: &Maze, cells: &[usize], solved: &[Option<bool>]) -> String {
    let sketch = Sketch::new(question, &question.tokens());
    let of = |wanted: bool| {
        let known = cells.iter().zip(solved);
        let cells: Vec<usize> = known
            .filter(|(_, solved)| **solved == Some(wanted))
            .map(|(&cell, _)| cell)
            .collect();
        move |cell: usize| cells.contains(&cell)
    };
    let mut d = Drawing::new();
    sketch.ground(&mut d);
    d.path("trial-solved", &sketch.area(of(true)))
        .path("maze-fault", &sketch.strokes(CROSS, of(false)));
    sketch.marks(&mut d);
    sketch.frame(&mut d);
    d.svg()
}

/// What a screen reader says of a cell, and who looks at it reads.
#[must_use]
pub fn label(question: &Maze, cells: &[CellState], cell: usize) -> String {
    let values: Vec<u8> = cells.iter().map(|state| state.digit).collect();
    let sketch = Sketch::new(question, &values);
    let side = sketch.side;
    let (Some(&here), Some(&given)) = (sketch.answer.cells().get(cell), question.cells().get(cell))
    else {
        return String::new();
    };
    let mut text = format!(
        "Row {}, column {}: {}",
        cell / side + 1,
        cell % side + 1,
        name(here)
    );
    let fault = sketch.faults[cell];
    if fault == Fault::Changed {
        text.push_str(&format!(", where the maze has a {}", name(given)));
    } else if fault != Fault::None {
        text.push_str(&format!(", {}", fault.name()));
    }
    if cells[cell].changed {
        text.push_str(", changed");
    }
    text
}

/// The lengths of the shortest way and of the network's, as a sentence.
#[must_use]
pub fn lengths(question: &Maze, route: Option<Route>) -> String {
    let Some(shortest) = question.distance() else {
        return match question.flaw() {
            Some(flaw) => format!("This maze can’t be solved: {flaw}."),
            None => String::new(),
        };
    };
    let steps = |n: usize| match n {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    };
    let way = format!("The shortest way has {}", steps(shortest));
    match route.map(|route| route.marked) {
        None => format!("{way}."),
        Some(None) => format!("{way}; the network’s does not lead to the goal."),
        Some(Some(marked)) if marked == shortest => format!("{way}; so has the network’s."),
        Some(Some(marked)) => format!("{way}; the network’s has {marked}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline;
    use hrm_core::puzzle::AnyPuzzle;
    use hrm_core::reason::SegmentReport;

    fn maze(text: &str) -> Maze {
        Maze::parse(text, None).unwrap()
    }

    fn report(segment: usize, answer: &str, changed: &[usize]) -> SegmentReport {
        let answer = maze(answer);
        SegmentReport {
            segment,
            grid: answer.tokens(),
            changed: changed.to_vec(),
            conflicts: answer.conflicts(),
            keeps_givens: true,
            q_halt: 0.0,
            q_continue: None,
            residual: 0.5,
            halted: false,
            solved: false,
            committed: vec![],
        }
    }

    fn states(question: &str, answer: &str, changed: &[usize]) -> Vec<CellState> {
        let question = AnyPuzzle::from(maze(question));
        timeline::cells(&question, &[report(1, answer, changed)], 1)
    }

    #[test]
    fn a_board_shows_walls_route_faults_and_changes() {
        let question = maze("S  #   G ");
        let cells = states("S  #   G ", "So #   G ", &[1]);
        let drawing = board(&question, &cells);
        assert!(
            drawing.contains("class=\"maze-wall\" d=\"M0 10h10v10h-10z\""),
            "{drawing}"
        );
        assert!(drawing.contains("class=\"maze-route\" d=\"M10 0h10v10h-10z\""));
        // From the start to the marked cell, and not on.
        assert!(drawing.contains("class=\"maze-line\" d=\"M5 5h10\""));
        assert!(drawing.contains("class=\"maze-changed\" d=\"M10 0h10"));
        let crosses = drawing.split("class=\"maze-fault\" d=\"").nth(1).unwrap();
        assert_eq!(
            crosses
                .split('"')
                .next()
                .unwrap()
                .matches("l5.2 5.2")
                .count(),
            2
        );
        assert!(drawing.contains(">S</text>") && drawing.contains(">G</text>"));
        // A loose part has a line of its own kind, and crosses at its ends only.
        let loose = board(&question, &states("S  #   G ", "S o#  oGo", &[]));
        assert!(
            loose.contains("class=\"maze-loose\" d=\"M5 25h10M15 25h10\""),
            "{loose}"
        );
        let bare = board(
            &question,
            &timeline::cells(&question.clone().into(), &[], 0),
        );
        assert!(
            bare.contains("class=\"maze-fault\" d=\"\""),
            "a question has no faults"
        );

        assert_eq!(
            label(&question, &cells, 1),
            "Row 1, column 2: route, gap, changed"
        );
        assert_eq!(label(&question, &cells, 3), "Row 2, column 1: wall");
        let cells = states("S  #   G ", "S  o   G ", &[3]);
        assert_eq!(
            label(&question, &cells, 3),
            "Row 2, column 1: route, where the maze has a wall, changed"
        );
        assert!(board(&question, &cells).contains("class=\"maze-over\" d=\"M0 10m1"));
        assert_eq!(label(&question, &cells, 9), "");
    }

    #[test]
    fn small_pictures_show_answers_shares_and_trials() {
        let question = maze("S  #   G ");
        let answer = maze("So #o  G ");
        let drawing = small(&question, &answer.tokens(), &[4]);
        assert!(drawing.contains("class=\"mini-own\" d=\"M10 10h10"));
        let runs = vec![
            vec![report(1, "So #o  G ", &[])],
            vec![report(1, "Soo#   G ", &[])],
            vec![],
        ];
        let drawing = shares(&question, &runs);
        assert_eq!(drawing.matches("maze-share").count(), 3);
        assert!(
            drawing.matches("fill-opacity").count() == 3 && drawing.contains("opacity=\"1.00\""),
            "{drawing}"
        );
        let drawing = one_open(&question, &[1, 4], &[Some(true), Some(false)]);
        assert!(drawing.contains("class=\"trial-solved\" d=\"M10 0h10"));
        assert!(drawing.contains("class=\"maze-fault\" d=\"M10 10m2.4"));
    }

    #[test]
    fn lengths_are_told_side_by_side() {
        let question = maze("S  #   G ");
        let of = |answer: &str| lengths(&question, Some(Route::of(&question, &maze(answer))));
        assert_eq!(lengths(&question, None), "The shortest way has 3 steps.");
        assert_eq!(
            of("So #o  G "),
            "The shortest way has 3 steps; so has the network’s."
        );
        assert_eq!(
            of("Soo#oooGo"),
            "The shortest way has 3 steps; so has the network’s."
        );
        assert_eq!(
            of("Soo# o Go"),
            "The shortest way has 3 steps; the network’s has 5."
        );
        assert!(of("S  #   G ").ends_with("does not lead to the goal."));
        assert!(lengths(&maze("S  ###  G"), None).starts_with("This maze can’t be solved: no way"));
    }

    #[test]
    fn strokes_have_no_gaps() {
        assert_eq!(between(5, 0, 3), [1, 2, 3]);
        assert_eq!(between(5, 24, 0), [18, 12, 6, 0]);
        assert_eq!(between(5, 7, 8), [8]);
        let long = between(64, 0, 63 * 64 + 20);
        assert_eq!((long.len(), long.last()), (63, Some(&(63 * 64 + 20))));
        for pair in long.windows(2) {
            assert!(pair[1].abs_diff(pair[0]).abs_diff(64) <= 1);
        }
        for (drawing, name) in legend() {
            assert!(drawing.starts_with("<path class=\"maze-"), "{name}");
        }
    }

    #[test]
    fn keys_draw() {
        assert_eq!(Tool::of_key("#"), Some(Cell::Wall));
        assert_eq!(Tool::of_key("s"), Some(Cell::Start));
        assert_eq!(Tool::of_key("1"), None);
        for (index, cell) in CONTENTS.into_iter().enumerate() {
            assert_eq!(cell as usize, index + 1, "{}", name(cell));
        }
    }
}
