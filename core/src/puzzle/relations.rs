//! Which positions of a puzzle belong together.
//!
//! A network that mixes by relations holds a state for every (cell, symbol)
//! and knows nothing of the puzzle but these: its weights serve boards of
//! every size.

use super::PuzzleKind;
use super::sudoku::shape::Shape;

/// A partition of the positions into groups of one size.
///
/// Positions are cells in reading order, the symbol running fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// What a group is: `row`, `column`, `box`, `cell`.
    pub name: &'static str,
    /// Members of a group.
    pub size: usize,
    /// The groups' members one group after another, `[groups, size]`.
    pub members: Vec<u32>,
    /// The group of each position.
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
    /// Symbols that a cell's answer can be, where the puzzle states relations
    /// between (cell, symbol) positions.
    #[must_use]
    pub fn symbols(self) -> Option<usize> {
        self.sudoku().ok().map(Shape::side)
    }

    /// The token of the first symbol; the others follow.
    #[must_use]
    pub fn first_symbol(self) -> u8 {
        super::TOKEN_BLANK + 1
    }

    /// The relations between (cell, symbol) positions; none for a kind that
    /// states none.
    #[must_use]
    pub fn relations(self) -> Vec<Relation> {
        self.sudoku().map_or_else(|_| Vec::new(), sudoku)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
