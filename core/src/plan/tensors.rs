//! Tensor names, shapes and initialisation.

/// Index of a tensor in [`super::Plan::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TensorId(usize);

impl TensorId {
    /// Position in the plan's list.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// How a tensor takes part in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorKind {
    /// Trained by the main optimiser.
    Weight,
    /// The puzzle embedding: trained by sign-SGD on the rows used.
    PuzzleEmbedding,
    /// Saved, never trained.
    Buffer,
}

/// Values of a fresh tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All the same.
    Constant(f32),
    /// Normal, cut at two standard deviations of the underlying normal and
    /// rescaled so that `std` is the deviation of the result (as in JAX).
    TruncatedNormal {
        /// Standard deviation of the values.
        std: f32,
    },
}

/// A tensor of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// Name on disk, the reference's without `model.inner.`.
    pub name: String,
    /// Lengths of its axes, row-major.
    pub shape: Vec<usize>,
    /// How it is trained.
    pub kind: TensorKind,
    /// How it starts.
    pub init: Init,
}

impl TensorSpec {
    /// Its shape as two axes: a vector is a row.
    #[must_use]
    pub fn matrix_shape(&self) -> [usize; 2] {
        match *self.shape {
            [rows, columns] => [rows, columns],
            _ => [1, self.elements()],
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Collects a plan's tensors while it is built.
#[derive(Default)]
pub(super) struct TensorList(Vec<TensorSpec>);

impl TensorList {
    pub(super) fn push(
        &mut self,
        name: &str,
        shape: &[usize],
        kind: TensorKind,
        init: Init,
    ) -> TensorId {
        self.0.push(TensorSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            kind,
            init,
        });
        TensorId(self.0.len() - 1)
    }

    pub(super) fn weight(&mut self, name: &str, shape: &[usize], init: Init) -> TensorId {
        self.push(name, shape, TensorKind::Weight, init)
    }

    pub(super) fn into_vec(self) -> Vec<TensorSpec> {
        self.0
    }
}
