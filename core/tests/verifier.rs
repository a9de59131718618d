//! The verifiers against rules written out once more, each on more than 10^5 grids
//! near and far from right.

use hrm_core::puzzle::maze::Cell;
use hrm_core::puzzle::{
    Board, Maze, MazeOptions, MazeSize, Puzzle, Shape, fill_share, generate_maze, random_solution,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn no_sudoku_is_accepted_that_breaks_a_rule_or_changes_a_given() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..2_000 {
        let shape = Shape::COMMON[round % 3];
        let solution = random_solution(shape, &mut rng);
        let share = rng.random::<f64>();
        let givens = fill_share(&mut rng, &Board::blank(shape), &solution, share);
        for _ in 0..55 {
            let mut grid = if rng.random_bool(0.2) {
                random_solution(shape, &mut rng)
            } else {
                solution.clone()
            };
            for _ in 0..rng.random_range(0..4) {
                let cell = rng.random_range(0..shape.cells());
                // Swapping digits keeps counts; setting one may blank it.
                if rng.random_bool(0.5) {
                    let other = rng.random_range(0..shape.cells());
                    let (a, b) = (grid.cells()[cell], grid.cells()[other]);
                    grid.set(cell, b);
                    grid.set(other, a);
                } else {
                    grid.set(cell, rng.random_range(0..=shape.side() as u8));
                }
            }
            let expected = obeys(&grid) && keeps(&grid, &givens);
            assert_eq!(grid.solves(&givens), expected, "{givens} {grid}");
            if expected {
                accepted += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert!(
        accepted > 10_000 && refused > 10_000,
        "{accepted} {refused}"
    );
}

/// Whether every cell has a digit and no two cells of a house the same.
fn obeys(grid: &Board) -> bool {
    let shape = grid.shape();
    (0..shape.cells()).all(|a| {
        grid.cells()[a] != 0
            && (0..a).all(|b| {
                let house = shape.row(a) == shape.row(b)
                    || shape.column(a) == shape.column(b)
                    || shape.box_of(a) == shape.box_of(b);
                !house || grid.cells()[a] != grid.cells()[b]
            })
    })
}

fn keeps(grid: &Board, givens: &Board) -> bool {
    (0..grid.cells().len()).all(|c| givens.cells()[c] == 0 || givens.cells()[c] == grid.cells()[c])
}

#[test]
fn no_maze_is_accepted_that_breaks_a_rule_or_changes_a_given() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut solved, mut only_valid, mut refused, mut other_routes) = (0, 0, 0, 0);
    for round in 0..2_000 {
        let size = MazeSize::of_side(4 + round % 5).unwrap();
        let options = MazeOptions {
            walls: (0.1, 0.4),
            min_distance: 3,
            ..MazeOptions::hard(size)
        };
        let (mut question, key) = generate_maze(round as u64, &options).unwrap();
        if rng.random_bool(0.2) {
            question = question.filled(&key, 0.3, &mut rng);
        }
        for _ in 0..55 {
            let grid = near(&question, &key, &mut rng);
            let (kept, steps) = (untouched(&grid, &question), least_steps(&question));
            let expected = kept && walk(&grid).is_some_and(|length| length == steps);
            assert_eq!(grid.solves(&question), expected, "{question:?} {grid:?}");
            let valid = kept && joined(&grid);
            assert_eq!(grid.is_valid(&question), valid, "{question:?} {grid:?}");
            assert!(valid || !expected, "what solves is valid");
            match (expected, valid) {
                (true, _) => solved += 1,
                (false, true) => only_valid += 1,
                (false, false) => refused += 1,
            }
            other_routes += usize::from(expected && grid != key);
        }
    }
    let counts = [solved, only_valid, refused, other_routes];
    assert!(counts.iter().all(|&n| n > 1_000), "{counts:?}");
}

/// A grid that is the key, another route or a detour, with some cells changed.
fn near(question: &Maze, key: &Maze, rng: &mut ChaCha8Rng) -> Maze {
    let mut cells = key.cells().to_vec();
    if rng.random_bool(0.5) {
        // A shortest route of the maze with some more walls: another one, or a detour.
        let ways = question.unmarked();
        let walled: Vec<Cell> = ways
            .cells()
            .iter()
            .map(|&c| match c {
                Cell::Way if rng.random_bool(0.15) => Cell::Wall,
                other => other,
            })
            .collect();
        let walled = Maze::new(question.size(), walled).unwrap();
        if let Some(route) = walled.shortest_route() {
            cells = ways.marked(&route).cells().to_vec();
        }
    }
    for _ in 0..[0, 0, 1, 2, 5][rng.random_range(0..5)] {
        let cell = rng.random_range(0..cells.len());
        cells[cell] = match (cells[cell], rng.random_bool(0.8)) {
            (Cell::Way, true) => Cell::Route,
            (Cell::Route, true) => Cell::Way,
            _ => [Cell::Wall, Cell::Way, Cell::Start, Cell::Goal, Cell::Route]
                [rng.random_range(0..5)],
        };
    }
    Maze::new(question.size(), cells).unwrap()
}

/// Whether nothing but ways has become something else, and those only a route.
fn untouched(grid: &Maze, question: &Maze) -> bool {
    let pairs = question.cells().iter().zip(grid.cells());
    pairs.into_iter().all(|(given, here)| match given {
        Cell::Way => matches!(here, Cell::Way | Cell::Route),
        fixed => here == fixed,
    })
}

/// Cells beside a cell.
fn beside(maze: &Maze, cell: usize) -> Vec<usize> {
    let side = maze.size().side() as i64;
    let (row, column) = (cell as i64 / side, cell as i64 % side);
    [(-1, 0), (1, 0), (0, -1), (0, 1)]
        .iter()
        .map(|(r, c)| (row + r, column + c))
        .filter(|(r, c)| (0..side).contains(r) && (0..side).contains(c))
        .map(|(r, c)| (r * side + c) as usize)
        .collect()
}

/// Steps of a shortest way, by relaxing distances until nothing changes.
fn least_steps(maze: &Maze) -> usize {
    let far = usize::MAX / 2;
    let mut steps: Vec<usize> = maze
        .cells()
        .iter()
        .map(|&c| if c == Cell::Start { 0 } else { far })
        .collect();
    loop {
        let before = steps.clone();
        for cell in 0..steps.len() {
            if maze.cells()[cell] != Cell::Wall {
                for next in beside(maze, cell) {
                    steps[cell] = steps[cell].min(steps[next] + 1);
                }
            }
        }
        if steps == before {
            let goal = maze.cells().iter().position(|&c| c == Cell::Goal).unwrap();
            return steps[goal];
        }
    }
}

/// Steps from start to goal if the marked cells are one line between them that never
/// comes beside itself.
fn walk(maze: &Maze) -> Option<usize> {
    let on = |cell: usize| !matches!(maze.cells()[cell], Cell::Wall | Cell::Way);
    let mut here = maze.cells().iter().position(|&c| c == Cell::Start)?;
    let mut seen = vec![here];
    while maze.cells()[here] != Cell::Goal {
        let next: Vec<usize> = beside(maze, here)
            .into_iter()
            .filter(|&n| on(n) && !seen.contains(&n))
            .collect();
        let [one] = next[..] else { return None };
        seen.push(one);
        here = one;
    }
    let all = (0..maze.cells().len()).filter(|&c| on(c)).count();
    (seen.len() == all).then_some(all - 1)
}

/// Whether start and goal are in one part of the marked cells, by giving cells that
/// touch the same name.
fn joined(maze: &Maze) -> bool {
    let on = |cell: usize| !matches!(maze.cells()[cell], Cell::Wall | Cell::Way);
    let mut names: Vec<usize> = (0..maze.cells().len()).collect();
    for cell in (0..names.len()).filter(|&c| on(c)) {
        for next in beside(maze, cell).into_iter().filter(|&n| on(n)) {
            let (old, new) = (names[next], names[cell]);
            names
                .iter_mut()
                .filter(|n| **n == old)
                .for_each(|n| *n = new);
        }
    }
    let of = |content: Cell| maze.cells().iter().position(|&c| c == content);
    match (of(Cell::Start), of(Cell::Goal)) {
        (Some(start), Some(goal)) => names[start] == names[goal],
        _ => false,
    }
}
