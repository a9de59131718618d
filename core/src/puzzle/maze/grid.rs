//! A maze, and how a route through it is judged.

use std::fmt;
use std::fmt::Write as _;

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::size::MazeSize;
use super::symmetry::{Dihedral, MazeSymmetry};
use crate::puzzle::sudoku::board::TokenError;
use crate::puzzle::{Puzzle, TOKEN_PAD};

/// Content of a cell; its number is its token (0 is padding).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Cell {
    /// `#`: can't be passed.
    Wall = 1,
    /// A space: can be passed.
    Way = 2,
    /// `S`: where the route starts.
    Start = 3,
    /// `G`: where it ends.
    Goal = 4,
    /// `o`: a way that is on the route.
    Route = 5,
}

/// Why a maze has no answer.
const NO_WAY: &str = "no way leads from the start to the goal";

/// Number of tokens: padding and those of [`Cell`].
const VOCAB: usize = 6;

impl Cell {
    fn of_token(token: u8) -> Option<Self> {
        Some(match token {
            1 => Self::Wall,
            // Padding counts as a way, so that whatever a model says can be shown.
            TOKEN_PAD | 2 => Self::Way,
            3 => Self::Start,
            4 => Self::Goal,
            5 => Self::Route,
            _ => return None,
        })
    }

    /// The character that stands for it in files.
    #[must_use]
    pub const fn char(self) -> char {
        match self {
            Self::Wall => '#',
            Self::Way => ' ',
            Self::Start => 'S',
            Self::Goal => 'G',
            Self::Route => 'o',
        }
    }

    fn of_char(character: char) -> Option<Self> {
        let all = [Self::Wall, Self::Way, Self::Start, Self::Goal, Self::Route];
        all.into_iter().find(|cell| cell.char() == character)
    }
}

/// A maze, with a route marked or not, right or wrong.
///
/// It always has the cells of its size. A question has no [`Cell::Route`]; an
/// answer has a shortest route from start to goal marked. Serialized as its line of
/// text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Maze {
    size: MazeSize,
    cells: Vec<Cell>,
}

/// Why a text is no maze.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MazeError {
    /// A character that stands for no cell. Rows and columns count from 1.
    #[error("character {position}: {character:?} is none of \"#\", \" \", \"S\", \"G\" and \"o\"")]
    Character {
        /// Position in the text, from 1, line breaks not counted.
        position: usize,
        /// What stands there.
        character: char,
    },
    /// A number of cells that no maze, or not the wanted one, has.
    #[error("the text has {found} cells; {wanted}")]
    Count {
        /// Number of cells found.
        found: usize,
        /// What there should be.
        wanted: String,
    },
}

impl Maze {
    /// Signs that are hardly ever anything but walls.
    pub const WALLS: [char; 6] = ['#', '█', '▓', '■', '|', '+'];

    /// A maze of these cells, if they are as many as the size has.
    #[must_use]
    pub fn new(size: MazeSize, cells: Vec<Cell>) -> Option<Self> {
        (cells.len() == size.cells()).then_some(Self { size, cells })
    }

    /// A maze without walls, its start and goal in opposite corners.
    #[must_use]
    pub fn empty(size: MazeSize) -> Self {
        let mut cells = vec![Cell::Way; size.cells()];
        cells[0] = Cell::Start;
        cells[size.cells() - 1] = Cell::Goal;
        Self { size, cells }
    }

    /// For callers in this crate that have made the cells themselves.
    pub(crate) fn from_valid(size: MazeSize, cells: Vec<Cell>) -> Self {
        debug_assert_eq!(cells.len(), size.cells());
        Self { size, cells }
    }

    /// Reads a maze: as many characters as it has cells, in reading order, on one
    /// line or one a row.
    ///
    /// ```
    /// use hrm_core::puzzle::Maze;
    /// let maze = Maze::parse("S #\n# #\n# G", None)?;
    /// assert_eq!(maze.size().to_string(), "maze-3x3");
    /// assert_eq!(maze.distance(), Some(4));
    /// # Ok::<(), hrm_core::puzzle::MazeError>(())
    /// ```
    ///
    /// # Errors
    /// Another character than those of [`Cell`], or not the cells of a square.
    pub fn parse(text: &str, size: Option<MazeSize>) -> Result<Self, MazeError> {
        let cells = text
            .chars()
            .filter(|c| !matches!(c, '\n' | '\r'))
            .enumerate()
            .map(|(index, character)| {
                Cell::of_char(character).ok_or(MazeError::Character {
                    position: index + 1,
                    character,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let found = cells.len();
        match size.or_else(|| MazeSize::from_cells(found)) {
            Some(size) if size.cells() == found => Ok(Self { size, cells }),
            Some(size) => Err(MazeError::Count {
                found,
                wanted: format!("{size} has {}", size.cells()),
            }),
            None => Err(MazeError::Count {
                found,
                wanted: "a maze is a square of 2 to 64 cells a side".to_owned(),
            }),
        }
    }

    /// The size.
    #[must_use]
    pub fn size(&self) -> MazeSize {
        self.size
    }

    /// The cells in reading order.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The maze without the marks of a route: its question.
    #[must_use]
    pub fn unmarked(&self) -> Self {
        let way = |&cell| match cell {
            Cell::Route => Cell::Way,
            other => other,
        };
        Self {
            size: self.size,
            cells: self.cells.iter().map(way).collect(),
        }
    }

    /// The maze with these ways marked as the route.
    #[must_use]
    pub fn marked(&self, route: &[usize]) -> Self {
        let mut marked = self.clone();
        for &cell in route {
            if let Some(content @ Cell::Way) = marked.cells.get_mut(cell) {
                *content = Cell::Route;
            }
        }
        marked
    }

    /// Writes a cell's content. There is one start and one goal: where another stands, a
    /// way is left. A cell beyond the maze changes nothing.
    pub fn set(&mut self, cell: usize, content: Cell) {
        if cell >= self.cells.len() {
            return;
        }
        if matches!(content, Cell::Start | Cell::Goal) {
            for other in &mut self.cells {
                if *other == content {
                    *other = Cell::Way;
                }
            }
        }
        self.cells[cell] = content;
    }

    /// One line a row.
    #[must_use]
    pub fn to_grid_string(&self) -> String {
        let rows = self.cells.chunks_exact(self.size.side());
        let line = |row: &[Cell]| row.iter().map(|cell| cell.char()).collect::<String>() + "\n";
        rows.map(line).collect()
    }

    /// The maze with another content of a cell.
    pub(super) fn with(mut self, cell: usize, content: Cell) -> Self {
        self.cells[cell] = content;
        self
    }

    /// Number of cells marked as the route, start and goal not counted.
    #[must_use]
    pub fn route_cells(&self) -> usize {
        self.cells.iter().filter(|&&c| c == Cell::Route).count()
    }

    /// What is wrong with the number of starts and goals.
    fn wrong_ends(&self) -> Option<String> {
        for (cell, name) in [(Cell::Start, "start"), (Cell::Goal, "goal")] {
            let count = self.cells.iter().filter(|&&c| c == cell).count();
            let many = match count {
                1 => continue,
                0 => format!("no {name}"),
                2 => format!("two {name}s"),
                _ => format!("{count} {name}s"),
            };
            return Some(format!(
                "{many}: the maze has {count} cells that are its {name}"
            ));
        }
        None
    }

    /// The ways that an answer marks and this maze does not, in reading order.
    fn open(&self, answer: &Self) -> Vec<usize> {
        (0..self.cells.len())
            .filter(|&c| self.cells[c] == Cell::Way && answer.cells.get(c) == Some(&Cell::Route))
            .collect()
    }

    /// The first cell with this content.
    pub(super) fn find(&self, content: Cell) -> Option<usize> {
        self.cells.iter().position(|&c| c == content)
    }
}

impl fmt::Display for Maze {
    /// One line, one character a cell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cells
            .iter()
            .try_for_each(|cell| f.write_char(cell.char()))
    }
}

impl From<Maze> for String {
    fn from(maze: Maze) -> Self {
        maze.to_string()
    }
}

impl TryFrom<String> for Maze {
    type Error = MazeError;

    fn try_from(text: String) -> Result<Self, MazeError> {
        Self::parse(&text, None)
    }
}

impl Puzzle for Maze {
    const LITERAL: bool = true;
    const GRADED: bool = true;

    type Kind = MazeSize;
    type Symmetry = MazeSymmetry;
    type ParseError = MazeError;

    fn parse(text: &str, kind: Option<MazeSize>) -> Result<Self, MazeError> {
        Self::parse(text, kind)
    }

    fn drawn(text: &str) -> Option<Result<(Self, String), String>> {
        Some(super::drawing::read(text))
    }

    fn kind(&self) -> MazeSize {
        self.size
    }

    fn cell_count(kind: MazeSize) -> usize {
        kind.cells()
    }

    fn is_cell(_: MazeSize, character: char) -> bool {
        Cell::of_char(character).is_some()
    }

    fn kind_of_cells(cells: usize) -> Option<MazeSize> {
        MazeSize::from_cells(cells)
    }

    fn answered(&self) -> Result<(Self, u32), String> {
        if let Some(flaw) = self.flaw() {
            return Err(flaw);
        }
        let route = self.shortest_route().ok_or(NO_WAY)?;
        let steps = self.distance().unwrap_or_default();
        let rating = u32::try_from(steps).unwrap_or(u32::MAX);
        Ok((self.unmarked().marked(&route), rating))
    }

    fn vocab(_: MazeSize) -> usize {
        VOCAB
    }

    fn tokens(&self) -> Vec<u8> {
        self.cells.iter().map(|&cell| cell as u8).collect()
    }

    fn from_tokens(kind: MazeSize, tokens: &[u8]) -> Result<Self, TokenError> {
        if tokens.len() != kind.cells() {
            return Err(TokenError::Length {
                kind: kind.to_string(),
                expected: kind.cells(),
                found: tokens.len(),
            });
        }
        let cell = |(index, &token): (usize, &u8)| {
            Cell::of_token(token).ok_or_else(|| TokenError::Value {
                kind: kind.to_string(),
                row: index / kind.side() + 1,
                column: index % kind.side() + 1,
                value: token,
                largest: (VOCAB - 1) as u8,
            })
        };
        Ok(Self {
            size: kind,
            cells: tokens
                .iter()
                .enumerate()
                .map(cell)
                .collect::<Result<_, _>>()?,
        })
    }

    /// What keeps the marked cells from being one route from start to goal, and 0 if
    /// nothing does. The marked cells, starts and goals are the nodes of a graph whose
    /// edges join neighbouring cells; in a route without detours every marked cell
    /// has two neighbours, start and goal have one, and all hang together. E is the
    /// sum of
    /// - the difference from that number of neighbours, over all nodes;
    /// - the number of connected parts beyond the first;
    /// - missing and surplus starts and goals.
    ///
    /// Walls are not compared with the question's and the length is not looked at, so
    /// E = 0 alone does not mean solved. A bare question has E = 3, or 0 where start and
    /// goal are neighbours.
    fn conflicts(&self) -> u32 {
        self.route_faults().total
    }

    fn conflicting_cells(&self) -> Vec<bool> {
        self.route_faults().cells
    }

    /// Whether walls, start and goal are those of the question and what it marks is
    /// marked here.
    fn keeps_givens(&self, question: &Self) -> bool {
        self.size == question.size
            && self
                .cells
                .iter()
                .zip(&question.cells)
                .all(|(&here, &given)| here == given || (given == Cell::Way && here == Cell::Route))
    }

    /// Whether a shortest route is marked and nothing else: it leads from start to
    /// goal, and is as long as the way must be. Any shortest route is right, not only
    /// the one of a file.
    fn solves(&self, question: &Self) -> bool {
        self.fault(question).is_none()
    }

    /// Whether walls, start and goal are kept and the marked cells lead from the start to
    /// the goal, by whatever detour and with whatever else marked.
    fn is_valid(&self, question: &Self) -> bool {
        self.keeps_givens(question) && self.is_connected()
    }

    fn flaw(&self) -> Option<String> {
        let lost = || self.distance().is_none().then(|| NO_WAY.to_owned());
        self.wrong_ends().or_else(lost)
    }

    fn fault(&self, question: &Self) -> Option<String> {
        if let Some(ends) = question.wrong_ends() {
            return Some(ends);
        }
        if !self.keeps_givens(question) {
            return Some("the answer changes a wall, the start or the goal".to_owned());
        }
        let Some(shortest) = question.distance() else {
            return Some(NO_WAY.to_owned());
        };
        if !self.is_connected() {
            return Some("the marked cells do not lead from the start to the goal".to_owned());
        }
        // They connect, so they are at least those of a shortest route.
        let marked = self.route_cells();
        (marked + 1 != shortest).then(|| {
            format!(
                "{marked} cells are marked, a shortest route has {}",
                shortest - 1
            )
        })
    }

    /// One of the eight of the square; start and goal stay what they are.
    fn random_symmetry<R: Rng + ?Sized>(_: MazeSize, rng: &mut R) -> MazeSymmetry {
        Dihedral::random(rng).into()
    }

    fn transformed(&self, symmetry: &MazeSymmetry) -> Self {
        symmetry.apply(self)
    }

    fn restored(&self, symmetry: &MazeSymmetry) -> Self {
        symmetry.inverse().apply(self)
    }

    fn class(question: &Self, _: &Self) -> Option<Self> {
        Dihedral::all()
            .into_iter()
            .map(|symmetry| symmetry.apply(question))
            .min()
    }

    /// Marks a random number of the cells of the answer's route, at least one, at
    /// least one left out.
    fn with_hints<R: Rng + ?Sized>(&self, answer: &Self, rng: &mut R) -> Self {
        let mut open = self.open(answer);
        if open.len() < 2 {
            return self.clone();
        }
        let count = rng.random_range(1..open.len() as u32) as usize;
        let (chosen, _) = open.partial_shuffle(rng, count);
        self.marked(chosen)
    }

    fn filled<R: Rng + ?Sized>(&self, answer: &Self, share: f64, rng: &mut R) -> Self {
        let mut open = self.open(answer);
        let count = (share.clamp(0.0, 1.0) * open.len() as f64).round() as usize;
        let (chosen, _) = open.partial_shuffle(rng, count);
        self.marked(chosen)
    }

    fn written(&self) -> Vec<usize> {
        let cells = 0..self.cells.len();
        cells.filter(|&c| self.cells[c] == Cell::Route).collect()
    }

    fn without(&self, cells: &[usize]) -> Self {
        let mut maze = self.clone();
        for &cell in cells {
            if let Some(content @ Cell::Route) = maze.cells.get_mut(cell) {
                *content = Cell::Way;
            }
        }
        maze
    }

    /// Marks the ways that all answers mark. No mark breaks a rule for good: a route
    /// may pass any way.
    fn agreed(&self, answers: &[Self]) -> Self {
        let Some((first, others)) = answers.split_first() else {
            return self.clone();
        };
        let mut shared = self.open(first);
        shared.retain(|&c| others.iter().all(|a| a.cells.get(c) == Some(&Cell::Route)));
        self.marked(&shared)
    }
}
