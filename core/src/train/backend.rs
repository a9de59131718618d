//! What does a step's arithmetic.

use std::fmt::Debug;

use super::TrainError;
use super::act::Sequence;
use super::clock::Clock;
use super::draws::Noise;
use super::optim::Stride;
use crate::cpu::train::Last;

/// What a segment of some rows of states is given.
#[derive(Debug)]
pub struct Given {
    /// The rows' puzzles side by side, `[rows, cells]`.
    pub tokens: Vec<u8>,
    /// The row of the puzzle embedding that each takes.
    pub identifiers: Vec<u32>,
    /// What each row has answered last, for models with feedback.
    pub(crate) last: Vec<Last>,
    /// Whole segments that come first, without gradient.
    pub warm_ups: usize,
    /// What is added to the states at every update.
    pub noise: Noise,
}

/// What a segment says to the host.
#[derive(Debug, Default)]
pub struct Answers {
    /// `[rows * cells, answers]`.
    pub logits: Vec<f32>,
    /// `[rows, q outputs]`.
    pub q: Vec<f32>,
    /// The q of one more segment by the same weights, without gradient; empty
    /// for models without a value of continuing.
    pub next_q: Vec<f32>,
}

/// The gradients of the loss by a segment's logits and q.
#[derive(Debug)]
pub struct Slopes {
    /// As long as [`Answers::logits`].
    pub logits: Vec<f32>,
    /// As long as [`Answers::q`].
    pub q: Vec<f32>,
}

/// What a network says of one puzzle after one segment.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentGuess {
    /// The most likely token of each cell; among equals the smallest.
    pub tokens: Vec<u8>,
    /// Logit of halting.
    pub q_halt: f32,
    /// Logit of continuing, where the model has one.
    pub q_continue: Option<f32>,
}

impl SegmentGuess {
    /// Whether the model says that it is done.
    #[must_use]
    pub fn halts(&self) -> bool {
        self.q_halt > self.q_continue.unwrap_or(0.0)
    }
}

/// Where the weights, their average and the optimizer's memory are, and what
/// computes with them. It may compute on several devices, of which the first
/// holds what is trained.
pub trait Backend: Debug + Send + Sync {
    /// `z_H` and `z_L` of some rows of states, `[rows, positions, hidden]`.
    type States: Debug + Send + Sync;
    /// The loss's gradients by every tensor of the plan.
    type Gradients: Send;

    /// Devices that compute parts of the batch.
    fn devices(&self) -> usize {
        1
    }

    /// Rows of the batch that are best computed together, where that is not
    /// simply a thread's share.
    fn together(&self) -> Option<usize> {
        None
    }

    /// The states that so many rows of states start from in a plain pass.
    fn initial(&self, device: usize, rows: usize) -> Self::States;

    /// States where the rows that begin are replaced: by these, or where none
    /// are given by what they start from in a plain pass.
    fn restarted(
        &self,
        device: usize,
        states: &Self::States,
        begins: &[bool],
        drawn: Option<[Vec<f32>; 2]>,
    ) -> Self::States;

    /// One segment: forward, `grade`, which turns what it says into slopes,
    /// and backward. Returns the states after it and the gradients.
    ///
    /// # Errors
    /// If the device fails, or `grade` does.
    fn segment(
        &self,
        device: usize,
        states: Self::States,
        given: Given,
        clock: Option<&Clock>,
        grade: &mut dyn FnMut(&Answers) -> Result<Slopes, TrainError>,
    ) -> Result<(Self::States, Self::Gradients), TrainError>;

    /// Gives each row the `z_H` of another (or of itself).
    fn follow(&self, device: usize, states: &mut Self::States, leaders: &[usize]);

    /// Reads states, `z_H` and `z_L`.
    ///
    /// # Errors
    /// If the device fails.
    fn read_states(&self, states: &Self::States) -> Result<[Vec<f32>; 2], TrainError>;

    /// Makes states of `z_H` and `z_L`.
    fn states(&self, device: usize, values: [Vec<f32>; 2]) -> Self::States;

    /// Adds gradients to others, on the device that holds the weights.
    fn add(&self, sum: Option<Self::Gradients>, term: Self::Gradients) -> Self::Gradients;

    /// The sum of squares of each tensor's gradients, in the plan's order.
    ///
    /// # Errors
    /// If the device fails.
    fn squares(&self, gradients: &Self::Gradients) -> Result<Vec<f64>, TrainError>;

    /// Reads gradients in the plan's order, the puzzle embedding's as a whole
    /// table; empty for a tensor that the loss does not depend on.
    ///
    /// # Errors
    /// If the device fails.
    fn read_gradients(&self, gradients: Self::Gradients) -> Result<Vec<Vec<f32>>, TrainError>;

    /// Moves the weights along gradients, and their average after them.
    ///
    /// # Errors
    /// If the device fails.
    fn update(&mut self, gradients: Self::Gradients, stride: Stride) -> Result<(), TrainError>;

    /// The weights under training, in the plan's order.
    ///
    /// # Errors
    /// If the device fails.
    fn values(&self) -> Result<Vec<Vec<f32>>, TrainError>;

    /// Replaces the weights under training; they are of the plan's shapes.
    fn set_values(&mut self, values: Vec<Vec<f32>>);

    /// The weights' moving average; the weights where none is kept, as of the
    /// puzzle embedding.
    ///
    /// # Errors
    /// If the device fails.
    fn average(&self) -> Result<Vec<Vec<f32>>, TrainError>;

    /// What the optimizer remembers of each tensor, in the order of
    /// [`super::Rule::memory`].
    ///
    /// # Errors
    /// If the device fails.
    fn memory(&self) -> Result<Vec<Vec<Vec<f32>>>, TrainError>;

    /// Replaces it; it is of the plan's shapes.
    fn set_memory(&mut self, memory: Vec<Vec<Vec<f32>>>);

    /// What the averaged weights say of puzzles after each of so many
    /// segments: `[segment][puzzle]`.
    ///
    /// # Errors
    /// If the device fails, or a puzzle does not fit.
    fn evaluate(
        &self,
        inputs: &[Sequence<'_>],
        segments: usize,
    ) -> Result<Vec<Vec<SegmentGuess>>, TrainError>;

    /// Returns when the devices have done all they were told to.
    fn wait(&self) {}
}
