//! New mazes from a seed.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::grid::{Cell, Maze};
use super::size::MazeSize;

/// What mazes are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MazeOptions {
    /// The size.
    pub size: MazeSize,
    /// The probability of a wall is drawn for each maze from this range, evenly; each
    /// cell is a wall with it, independently.
    pub walls: (f64, f64),
    /// Least number of steps from start to goal.
    pub min_distance: usize,
    /// Walls and starts to try before giving up.
    pub attempts: usize,
}

/// None of the tries met the wishes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "none of {attempts} tries gave a {size} whose way has {min_distance} steps or more with a share of walls of {} to {}; ask for a shorter one",
    .walls.0, .walls.1
)]
pub struct NoMaze {
    /// The size.
    pub size: MazeSize,
    /// Tries made.
    pub attempts: usize,
    /// Least number of steps asked for.
    pub min_distance: usize,
    /// Range of the probability of a wall.
    pub walls: (f64, f64),
}

impl MazeOptions {
    /// Mazes like those of Maze-Hard, in any size. In 30x30 no way has less than 109
    /// steps (110 cells with start and goal), as in the published files. Smaller sizes
    /// scale that down with their cells, larger ones up with their sides: ways in
    /// proportion to the cells are hardly ever found there.
    #[must_use]
    pub fn hard(size: MazeSize) -> Self {
        let (side, hard) = (size.side(), MazeSize::HARD.side());
        let min_distance = match side > hard {
            true => side * 109 / hard,
            false => size.cells() * 109 / (hard * hard),
        };
        Self {
            size,
            walls: (0.30, 0.45),
            min_distance,
            attempts: 1_000_000,
        }
    }
}

/// Starts with this many goals far enough away, or more, are always taken; those with
/// fewer in proportion. Without this, walls that barely allow the length would be as
/// frequent as those with many such ways, and ways beyond the least length too rare.
const PLENTY: u32 = 40;

/// Makes a maze and its answer, a shortest route; the same seed gives the same.
/// Beyond the size of Maze-Hard the start is the end of some way, as far from a
/// random cell as there is one.
///
/// # Errors
/// No maze met the wishes in `options.attempts` tries.
pub fn generate_maze(seed: u64, options: &MazeOptions) -> Result<(Maze, Maze), NoMaze> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let size = options.size;
    for _ in 0..options.attempts {
        let (low, high) = options.walls;
        let wall = (low + (high - low) * rng.random::<f64>()).clamp(0.0, 1.0);
        let cells: Vec<Cell> = (0..size.cells())
            .map(|_| match rng.random_bool(wall) {
                true => Cell::Wall,
                false => Cell::Way,
            })
            .collect();
        let mut start = rng.random_range(0..size.cells() as u32) as usize;
        if cells[start] == Cell::Wall {
            continue;
        }
        let mut maze = Maze::from_valid(size, cells);
        let mut distance = maze.distances(start, |cell| cell != Cell::Wall);
        // In the middle of a large maze hardly any start has a way so long.
        if size.side() > MazeSize::HARD.side() {
            start = farthest(&distance).unwrap_or(start);
            distance = maze.distances(start, |cell| cell != Cell::Wall);
        }
        maze = maze.with(start, Cell::Start);
        let far: Vec<usize> = (0..size.cells())
            .filter(|&c| distance[c].is_some_and(|d| d as usize >= options.min_distance.max(1)))
            .collect();
        if far.is_empty() || !rng.random_ratio((far.len() as u32).min(PLENTY), PLENTY) {
            continue;
        }
        let goal = far[rng.random_range(0..far.len() as u32) as usize];
        let question = maze.with(goal, Cell::Goal);
        // The goal was reached, so there is a route.
        if let Some(route) = question.shortest_route() {
            let answer = question.marked(&route);
            return Ok((question, answer));
        }
    }
    Err(NoMaze {
        size,
        attempts: options.attempts,
        min_distance: options.min_distance,
        walls: options.walls,
    })
}

/// The cell that is the most steps away; the first of several.
fn farthest(distance: &[Option<u32>]) -> Option<usize> {
    let most = distance.iter().flatten().max()?;
    distance.iter().position(|d| d.as_ref() == Some(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::puzzle::Puzzle;

    #[test]
    fn mazes_are_solved_long_enough_and_decided_by_the_seed() {
        for side in [4, 8, 13] {
            let options = MazeOptions::hard(MazeSize::of_side(side).unwrap());
            for seed in 0..20 {
                let (question, answer) = generate_maze(seed, &options).unwrap();
                assert_eq!(answer.fault(&question), None);
                assert_eq!(answer.conflicts(), 0, "a shortest route has no detour");
                assert!(question.distance().unwrap() >= options.min_distance.max(1));
                assert_eq!(generate_maze(seed, &options).unwrap().0, question);
                assert_ne!(generate_maze(seed + 100, &options).unwrap().0, question);
            }
        }
    }

    #[test]
    fn a_hard_maze_is_as_the_published_ones() {
        let (question, answer) = generate_maze(0, &MazeOptions::hard(MazeSize::HARD)).unwrap();
        assert!(answer.route_cells() >= 108);
        let walls = question
            .cells()
            .iter()
            .filter(|&&c| c == Cell::Wall)
            .count();
        // Between the fewest and the most of the published 1,000.
        assert!((240..=410).contains(&walls), "{walls}");
    }

    #[test]
    fn every_size_can_be_made_as_it_comes() {
        for side in [2, 31, 40, 50, 64] {
            let options = MazeOptions {
                // A hundredth of what is tried otherwise.
                attempts: 10_000,
                ..MazeOptions::hard(MazeSize::of_side(side).unwrap())
            };
            let (question, answer) = generate_maze(side as u64, &options).unwrap();
            assert!(answer.solves(&question), "{side}");
        }
    }

    #[test]
    fn too_long_a_way_is_an_error() {
        let options = MazeOptions {
            min_distance: 17,
            attempts: 50,
            ..MazeOptions::hard(MazeSize::of_side(4).unwrap())
        };
        let error = generate_maze(0, &options).unwrap_err().to_string();
        assert!(
            error.contains("17") && error.contains("maze-4x4"),
            "{error}"
        );
    }
}
