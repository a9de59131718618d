//! Canonical forms: two boards are equivalent exactly if these are equal.

use super::board::Board;
use super::shape::Shape;
use super::symmetry::Symmetry;

/// The smallest board, in reading order, among all that are equivalent to a complete
/// solution; `None` if the board is not one.
///
/// Its first row is always 1 2 3 and so on. There are 2 such forms for 4x4, 49 for
/// 6x6 and 5,472,730,538 for 9x9. From 12x12 on there are too many orders of the
/// lines: boards count as equivalent there if they differ by the digits' names
/// alone.
#[must_use]
pub fn canonical_solution(solution: &Board) -> Option<Board> {
    smallest(solution).map(|(board, _)| board)
}

/// A form of a puzzle that all equivalent puzzles share, and no other: the puzzle
/// moved along with its only solution to that solution's [`canonical_solution`], by
/// whichever of the symmetries that do so makes it smallest. `None` if `solution`
/// does not solve `puzzle`.
///
/// If the puzzle has more than one solution, the form depends on the one given.
#[must_use]
pub fn canonical_puzzle(puzzle: &Board, solution: &Board) -> Option<Board> {
    if !solution.solves(puzzle) {
        return None;
    }
    let (_, symmetries) = smallest(solution)?;
    symmetries.iter().map(|s| s.apply(puzzle)).min()
}

/// The smallest equivalent of a solution and all symmetries that lead to it.
///
/// Once it is settled which line comes first and in which order the columns stand,
/// the rest follows: the first row must read 1 2 3 ..., which names the digits, and
/// the others are sorted by their first digits, within bands and band by band.
fn smallest(solution: &Board) -> Option<(Board, Vec<Symmetry>)> {
    if !solution.solves(solution) {
        return None;
    }
    let shape = solution.shape();
    let side = shape.side();
    let (column_orders, firsts) = if side < 12 {
        (line_orders(shape.stacks(), shape.box_cols()), side)
    } else {
        (vec![(0..side as u8).collect()], 1)
    };
    let mut best: Option<(Board, Vec<Symmetry>)> = None;
    for transpose in [false, true] {
        if transpose && (!shape.square_boxes() || side >= 12) {
            continue;
        }
        let cell = |row: usize, column: usize| -> u8 {
            let source = if transpose {
                column * side + row
            } else {
                row * side + column
            };
            solution.cells()[source]
        };
        for first in 0..firsts {
            for columns in &column_orders {
                let mut digits = vec![0; side];
                for (index, &column) in columns.iter().enumerate() {
                    digits[cell(first, column as usize) as usize - 1] = index as u8 + 1;
                }
                let rows = if side < 12 {
                    sorted_rows(shape, first, |row| {
                        digits[cell(row, columns[0] as usize) as usize - 1]
                    })
                } else {
                    (0..side as u8).collect()
                };
                let grid = rows.iter().flat_map(|&row| {
                    let digits = &digits;
                    columns
                        .iter()
                        .map(move |&c| digits[cell(row as usize, c as usize) as usize - 1])
                });
                let order = match &best {
                    None => std::cmp::Ordering::Less,
                    Some((board, _)) => grid.clone().cmp(board.cells().iter().copied()),
                };
                if order.is_gt() {
                    continue;
                }
                let symmetry = |grid: Vec<u8>, digits: Vec<u8>| {
                    let board = Board::from_valid(shape, grid);
                    let columns = columns.clone();
                    let symmetry =
                        Symmetry::from_valid(shape, digits, transpose, rows.clone(), columns);
                    (board, symmetry)
                };
                let (board, symmetry) = symmetry(grid.collect(), digits.clone());
                match &mut best {
                    Some((_, symmetries)) if order.is_eq() => symmetries.push(symmetry),
                    _ => best = Some((board, vec![symmetry])),
                }
            }
        }
    }
    best
}

/// Rows with `first` in front, its band next, and everything else in the order of
/// the digits that `key` gives (those of one column, so all different).
fn sorted_rows(shape: Shape, first: usize, key: impl Fn(usize) -> u8) -> Vec<u8> {
    let height = shape.box_rows();
    let mut bands: Vec<Vec<usize>> = (0..shape.bands())
        .map(|band| {
            let mut rows: Vec<usize> = (band * height..(band + 1) * height).collect();
            rows.sort_by_key(|&row| (row != first, key(row)));
            rows
        })
        .collect();
    bands.sort_by_key(|rows| (rows[0] != first, key(rows[0])));
    bands.into_iter().flatten().map(|row| row as u8).collect()
}

/// Every order of the lines in which groups of `size` stay together.
fn line_orders(groups: usize, size: usize) -> Vec<Vec<u8>> {
    let group_orders = permutations(groups);
    let inner = permutations(size);
    let mut orders = vec![];
    for group_order in &group_orders {
        let mut partial: Vec<Vec<u8>> = vec![vec![]];
        for &group in group_order {
            partial = partial
                .iter()
                .flat_map(|lines| {
                    inner.iter().map(move |order| {
                        let mut lines = lines.clone();
                        lines.extend(order.iter().map(|&i| group * size as u8 + i));
                        lines
                    })
                })
                .collect();
        }
        orders.append(&mut partial);
    }
    orders
}

/// Every order of 0..n.
fn permutations(n: usize) -> Vec<Vec<u8>> {
    (0..n as u8).fold(vec![vec![]], |shorter, next| {
        shorter
            .iter()
            .flat_map(|order: &Vec<u8>| {
                (0..=order.len()).map(move |at| {
                    let mut longer = order.clone();
                    longer.insert(at, next);
                    longer
                })
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::generator::random_solution;
    use super::super::solver::solve;
    use super::*;

    #[test]
    fn line_orders_are_the_whole_group() {
        for (groups, size, expected) in [(2, 2, 8), (3, 2, 48), (2, 3, 72), (3, 3, 1296)] {
            let orders: HashSet<Vec<u8>> = line_orders(groups, size).into_iter().collect();
            assert_eq!(orders.len(), expected);
        }
    }

    #[test]
    fn four_by_four_has_two_grids_in_their_known_proportion() {
        let all = solve(&Board::blank(Shape::S4), 1000).solutions;
        let mut classes: HashMap<Board, usize> = HashMap::new();
        for solution in &all {
            *classes
                .entry(canonical_solution(solution).unwrap())
                .or_default() += 1;
        }
        let mut sizes: Vec<usize> = classes.into_values().collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [96, 192]);
    }

    #[test]
    fn the_form_is_that_of_the_whole_group() {
        // Against every element of the 4x4 group, without any shortcut.
        let solution = Board::parse("1234341221434321", None).unwrap();
        let puzzle = Board::parse("1..........3..2.", None).unwrap();
        let mut boards = vec![];
        let mut symmetries = vec![];
        for digits in permutations(4) {
            let digits: Vec<u8> = digits.iter().map(|d| d + 1).collect();
            for rows in line_orders(2, 2) {
                for columns in line_orders(2, 2) {
                    for transpose in [false, true] {
                        let [digits, rows, columns] = [&digits, &rows, &columns].map(Vec::clone);
                        let s = Symmetry::new(Shape::S4, digits, transpose, rows, columns).unwrap();
                        boards.push(s.apply(&solution));
                        symmetries.push(s);
                    }
                }
            }
        }
        assert_eq!(symmetries.len(), 3072);
        let least = boards.iter().min().unwrap();
        assert_eq!(canonical_solution(&solution).as_ref(), Some(least));
        let form = canonical_puzzle(&puzzle, &solution).unwrap();
        for s in &symmetries {
            let (p, a) = (s.apply(&puzzle), s.apply(&solution));
            assert_eq!(canonical_puzzle(&p, &a), Some(form.clone()));
        }
        assert!(symmetries.iter().any(|s| s.apply(&puzzle) == form));
    }

    #[test]
    fn equivalent_boards_share_their_form() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        for shape in Shape::COMMON {
            for _ in 0..4 {
                let solution = random_solution(shape, &mut rng);
                let mut cells = solution.cells().to_vec();
                cells.iter_mut().step_by(2).for_each(|d| *d = 0);
                let puzzle = Board::new(shape, cells).unwrap();
                let s = Symmetry::random(shape, &mut rng);
                let (puzzle2, solution2) = (s.apply(&puzzle), s.apply(&solution));
                assert_eq!(
                    canonical_solution(&solution),
                    canonical_solution(&solution2)
                );
                let form = canonical_puzzle(&puzzle, &solution).unwrap();
                assert_eq!(Some(&form), canonical_puzzle(&puzzle2, &solution2).as_ref());
                assert_eq!(form.clues(), puzzle.clues());
            }
        }
    }

    #[test]
    fn six_by_six_has_49_grids() {
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        let forms: HashSet<Board> = (0..4000)
            .filter_map(|_| canonical_solution(&random_solution(Shape::S6, &mut rng)))
            .collect();
        // The rarest classes may be missed, but there can not be a fiftieth.
        assert!((40..=49).contains(&forms.len()), "{} forms", forms.len());
    }

    #[test]
    fn only_solutions_have_a_form() {
        assert_eq!(canonical_solution(&Board::blank(Shape::S4)), None);
        let puzzle = Board::parse("1..........3..2.", None).unwrap();
        assert_eq!(canonical_puzzle(&puzzle, &puzzle), None);
    }
}
