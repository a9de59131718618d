//! burn as a backend of training: a [`Plan`](crate::plan::Plan) walked with
//! gradients on whatever device burn has.
//!
//! [`Parameters`] hold one tensor for each of the plan's, a [`Network`] is
//! those made ready for a forward pass (with or without gradient), and
//! [`Burn`] is what a [`crate::train::Trainer`] computes with. The device is
//! chosen at run time; nothing here knows which one it is.

mod backend;
mod evaluate;
mod inputs;
mod network;
mod optim;
mod parameters;
#[cfg(test)]
mod tests;

pub use burn::tensor::{Device, DeviceKind, DeviceType};

pub use backend::Burn;
pub use evaluate::evaluate;
pub use inputs::Inputs;
pub use network::{Network, Output, State, dtype};
pub use parameters::Parameters;
