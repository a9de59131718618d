//! ARC: tasks that are known by a few demonstrations alone.
//!
//! A [`Task`] has pairs of [`Grid`]s, and tests whose answers are to be found.
//! The model sees a grid on a [`Canvas`] of a fixed size, in HRM's token
//! layout, and learns of the task through its puzzle embedding: every task and
//! every rewriting of it by an [`ArcSymmetry`] has an identifier of its own. A
//! line of a data set is an [`ArcRow`]; the answers at all rewritings of a test
//! are mapped back and voted on (`reason::votes`).

mod augment;
mod canvas;
#[cfg(feature = "data")]
pub mod files;
mod grid;
mod name;
mod row;
mod size;
mod symmetry;
mod task;

pub use augment::{Augmented, augmentations};
pub use canvas::{Canvas, CanvasError, TOKEN_EOS};
pub use grid::{COLOURS, Grid, GridError, MAX_SIDE};
pub use name::Name;
pub use row::{ArcRow, LayoutError};
pub use size::{ArcSize, UnknownArcSize};
pub use symmetry::ArcSymmetry;
pub use task::{Pair, Task, TaskError};
