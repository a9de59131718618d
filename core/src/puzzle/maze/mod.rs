//! Square mazes of walls and ways with a start and a goal; the answer marks a
//! shortest route between them. Maze-Hard of the HRM paper is the size 30x30.

mod drawing;
mod faults;
pub mod generator;
pub mod grid;
mod route;
pub mod size;
pub mod symmetry;

pub use faults::Fault;
pub use generator::{MazeOptions, NoMaze, generate_maze};
pub use grid::{Cell, Maze, MazeError};
pub use size::{MazeSize, UnknownSize};
pub use symmetry::{Dihedral, MazeSymmetry};
