//! Which positions of a puzzle belong together.
//!
//! A network that mixes by relations knows nothing of the puzzle but these: its
//! weights serve boards of every size. Where a puzzle asks for symbols it holds a
//! state for every (cell, symbol), elsewhere one for every cell.

use super::maze::MazeSize;
use super::sudoku::shape::Shape;
use super::{PuzzleKind, TOKEN_BLANK};

/// A partition of the positions into groups of one size, and the group that each
/// position hears from: its own, or that of a neighbour.
///
/// Positions are cells in reading order, the symbol running fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// What a group is: `row`, `column`, `box`, `cell`; a neighbour: `up`, `down`,
    /// `left`, `right`.
    pub name: &'static str,
    /// Members of a group.
    pub size: usize,
    /// The groups' members one group after another, `[groups, size]`.
    pub members: Vec<u32>,
    /// The group whose message each position gets.
    pub group_of: Vec<u32>,
}

impl Relation {
    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.members.len() / self.size
    }

    /// The partition that a function of the positions makes.
    fn new(
        name: &'static str,
        positions: usize,
        size: usize,
        group: impl Fn(usize) -> usize,
    ) -> Self {
        let group_of: Vec<u32> = (0..positions).map(|p| group(p) as u32).collect();
        let mut members = vec![0; positions];
        let mut filled = vec![0; positions / size];
        for (position, &group) in group_of.iter().enumerate() {
            let group = group as usize;
            members[group * size + filled[group]] = position as u32;
            filled[group] += 1;
        }
        debug_assert!(filled.iter().all(|&n| n == size));
        Self {
            name,
            size,
            members,
            group_of,
        }
    }

    /// A relation to one other position, each a group of its own.
    fn neighbour(name: &'static str, positions: usize, neighbour: impl Fn(usize) -> usize) -> Self {
        Self {
            name,
            size: 1,
            members: (0..positions as u32).collect(),
            group_of: (0..positions).map(|p| neighbour(p) as u32).collect(),
        }
    }
}

/// The four neighbours of a maze's cells. Beyond the border stands the cell itself:
/// nothing comes from there that it does not know.
fn maze(size: MazeSize) -> Vec<Relation> {
    let names = ["up", "down", "left", "right"].into_iter().enumerate();
    let relation = |(side, name): (usize, _)| {
        Relation::neighbour(name, size.cells(), |cell| {
            size.around(cell)[side].unwrap_or(cell)
        })
    };
    names.map(relation).collect()
}

/// The houses of a Sudoku, for one symbol each, and the symbols of a cell.
fn sudoku(shape: Shape) -> Vec<Relation> {
    let side = shape.side();
    let house = |name, of: fn(Shape, usize) -> usize| {
        Relation::new(name, shape.cells() * side, side, |p| {
            of(shape, p / side) * side + p % side
        })
    };
    vec![
        house("row", Shape::row),
        house("column", Shape::column),
        house("box", Shape::box_of),
        Relation::new("cell", shape.cells() * side, side, |p| p / side),
    ]
}

impl PuzzleKind {
    /// Symbols that a cell's answer can be, where relations are between
    /// (cell, symbol) positions; none where they are between cells.
    #[must_use]
    pub fn symbols(self) -> Option<usize> {
        match self {
            Self::Sudoku(shape) => Some(shape.side()),
            Self::Maze(_) | Self::Arc(_) => None,
        }
    }

    /// The token of the first symbol; the others follow.
    #[must_use]
    pub fn first_symbol(self) -> u8 {
        TOKEN_BLANK + 1
    }

    /// The relations between positions; none for a kind that states none.
    #[must_use]
    pub fn relations(self) -> Vec<Relation> {
        match self {
            Self::Sudoku(shape) => sudoku(shape),
            Self::Maze(size) => maze(size),
            Self::Arc(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mazes_cells_hear_from_their_neighbours_and_at_the_border_from_themselves() {
        for side in [2, 5, 30] {
            let size = MazeSize::of_side(side).unwrap();
            let relations = PuzzleKind::from(size).relations();
            for cell in 0..size.cells() {
                let mut heard: Vec<usize> = relations
                    .iter()
                    .map(|r| r.members[r.group_of[cell] as usize] as usize)
                    .filter(|&from| from != cell)
                    .collect();
                heard.sort_unstable();
                let mut neighbours: Vec<usize> = size.neighbours(cell).collect();
                neighbours.sort_unstable();
                assert_eq!(heard, neighbours);
            }
            for (there, back) in [(0, 1), (2, 3)] {
                for (cell, &other) in relations[there].group_of.iter().enumerate() {
                    let again = relations[back].group_of[other as usize] as usize;
                    assert!(other as usize == cell || again == cell);
                }
            }
        }
    }

    #[test]
    fn every_relation_is_a_partition_of_the_positions() {
        for shape in Shape::COMMON {
            let side = shape.side();
            let relations = PuzzleKind::from(shape).relations();
            assert_eq!(
                relations.iter().map(|r| r.name).collect::<Vec<_>>(),
                ["row", "column", "box", "cell"]
            );
            for r in &relations {
                assert_eq!(
                    (r.size, r.groups()),
                    (side, shape.cells()),
                    "{shape} {}",
                    r.name
                );
                let mut seen = r.members.clone();
                seen.sort_unstable();
                assert!(seen.iter().enumerate().all(|(i, &p)| i == p as usize));
                for (group, members) in r.members.chunks_exact(r.size).enumerate() {
                    for &p in members {
                        assert_eq!(r.group_of[p as usize] as usize, group);
                    }
                }
            }
            // Two positions of one symbol share a house where their cells do.
            let houses = &relations[..3];
            for a in 0..shape.cells() {
                for b in (0..shape.cells()).filter(|&b| b != a) {
                    let share = houses
                        .iter()
                        .any(|r| r.group_of[a * side] == r.group_of[b * side]);
                    assert_eq!(share, shape.see_each_other(a, b));
                }
            }
        }
    }
}
