//! What the tests that cross crates share: a static server that can spoil
//! files, a browser, and the page as its users see it.

pub mod browser;
pub mod page;
pub mod plane;
pub mod rooms;
pub mod server;
pub mod training;
pub mod visit;
