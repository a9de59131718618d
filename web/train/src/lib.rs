//! The logic of the room in which a network is trained, without a browser:
//! settings and their address, what the room and its workers say to each
//! other, the run itself, what it has measured, and its pictures.

pub mod address;
pub mod archive;
pub mod evaluation;
pub mod export;
pub mod history;
pub mod message;
pub mod pictures;
pub mod presets;
pub mod puzzles;
pub mod saved;
pub mod session;
pub mod settings;
pub mod telling;
