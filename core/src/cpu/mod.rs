//! The CPU engine: walks a [`Plan`] in f32, or with its matrix products in
//! integers.
//!
//! In f32 it is the reference that every GPU kernel is tested against; in
//! integers it is the engine of browsers without WebGPU (or with a software
//! adapter, which it outruns tenfold). Quantized weights are expanded, or
//! brought into the processor's form, once, when a model is made.

mod bf16;
pub(crate) mod input;
mod int4;
mod int8;
mod lanes;
pub(crate) mod math;
mod ops;
mod panel;
mod places;
mod read_out;
mod relations;
#[cfg(target_arch = "wasm32")]
mod relaxed;
mod run;
pub(crate) mod simd;
pub(crate) mod train;

use std::sync::Arc;

pub use bf16::native_bf16;
pub use read_out::ReadOut;
pub use run::CpuRun;

use crate::plan::{Plan, Sublayer, TensorId};
use crate::weights::{Scheme, Weights};

/// The numbers that matrix products of the modules are computed in; all else
/// is f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// f32: the reference.
    #[default]
    F32,
    /// 8-bit integers, activations with a scale a row that is found as they
    /// come; weights that are not in 8 bits are brought into them, except that
    /// those in 4 bits stay so where the processor gains by it.
    Int8,
}

impl Arithmetic {
    /// Integers for weights that have been quantized, which have shown what
    /// that does to them; f32 for others.
    #[must_use]
    pub fn suiting(weights: &Weights) -> Self {
        match weights.scheme() {
            Scheme::F32 | Scheme::F16 => Self::F32,
            Scheme::Q8 | Scheme::Q4 => Self::Int8,
        }
    }
}

/// A model ready to run on the CPU; cheap to share between runs and threads.
#[derive(Debug)]
pub struct CpuModel {
    plan: Arc<Plan>,
    /// The tensors in the plan's order.
    tensors: Vec<Stored>,
    read_out: ReadOut,
    /// Cosines and sines of the rotary embedding, if any layer uses it.
    rotary: Option<ops::Rotary>,
    /// The modules' relational sublayers, in the plan's order.
    relations: Vec<Vec<Option<relations::Packed>>>,
}

/// A tensor in the form that it is used in.
#[derive(Debug)]
enum Stored {
    Dense(Vec<f32>),
    Int8(int8::Packed),
    Int4(int4::Packed),
    Bf16(Bf16Matrix),
}

/// A matrix `[rows, depth]` whose products are computed in bf16.
#[derive(Debug)]
struct Bf16Matrix {
    dense: Vec<f32>,
    /// Its transpose, for `x · Wᵀ`.
    forward: bf16::Packed,
    /// Itself, for the gradient by `x`.
    backward: bf16::Packed,
}

impl CpuModel {
    /// Prepares weights, which are of this plan by construction, for f32.
    #[must_use]
    pub fn new(plan: Arc<Plan>, weights: &Weights) -> Self {
        Self::with_arithmetic(plan, weights, Arithmetic::F32)
    }

    /// Prepares weights, which are of this plan by construction.
    #[must_use]
    pub fn with_arithmetic(plan: Arc<Plan>, weights: &Weights, arithmetic: Arithmetic) -> Self {
        let matrices = if plan.relations.is_empty() {
            plan.matrices()
        } else {
            // Fused kernels in f32, faster than integers for widths so small.
            Vec::new()
        };
        let bytes = int8::Kernel::best();
        let nibbles = int4::Kernel::best().filter(|_| !bytes.multiplies_bytes());
        let tensors = weights
            .tensors()
            .iter()
            .enumerate()
            .map(|(i, tensor)| {
                let is_matrix = matrices.iter().any(|id| id.index() == i);
                if !is_matrix || arithmetic == Arithmetic::F32 {
                    return Stored::Dense(tensor.dense().into_owned());
                }
                let nibbles = nibbles.and_then(|kernel| int4::Packed::new(kernel, tensor));
                nibbles.map_or_else(
                    || Stored::Int8(int8::Packed::new(bytes, tensor)),
                    Stored::Int4,
                )
            })
            .collect();
        Self::from_stored(plan, tensors)
    }

    /// A model to be trained, of dense values in the plan's order; `bf16`:
    /// its matrices are multiplied in bf16.
    pub(crate) fn for_training(plan: Arc<Plan>, tensors: Vec<Vec<f32>>, bf16: bool) -> Self {
        use crate::gemm::View;
        let bf16 = bf16 && plan.relations.is_empty();
        let matrices = plan.matrices();
        let store = |(i, dense): (usize, Vec<f32>)| {
            let Some(id) = matrices.iter().find(|id| bf16 && id.index() == i) else {
                return Stored::Dense(dense);
            };
            let shape = &plan.tensor(*id).shape;
            let (rows, depth) = (shape[0], shape[1]);
            Stored::Bf16(Bf16Matrix {
                forward: bf16::Packed::new([depth, rows], View::columns(&dense, depth)),
                backward: bf16::Packed::new([rows, depth], View::rows(&dense, depth)),
                dense,
            })
        };
        let tensors = tensors.into_iter().enumerate().map(store).collect();
        Self::from_stored(plan, tensors)
    }

    fn from_stored(plan: Arc<Plan>, tensors: Vec<Stored>) -> Self {
        let rotary = plan.modules.iter().flatten().find_map(|s| match s {
            Sublayer::Attention {
                rope_theta: Some(theta),
                head_dim,
                ..
            } => Some(ops::Rotary::new(plan.positions, *head_dim, *theta)),
            _ => None,
        });
        let relations = {
            // Sublayers of this kind are always of dense matrices.
            let values = |id: TensorId| match &tensors[id.index()] {
                Stored::Dense(values) => values.as_slice(),
                _ => &[],
            };
            let pack = |s| relations::Packed::new(&plan, s, values);
            let modules = plan.modules.iter();
            modules.map(|m| m.iter().map(pack).collect()).collect()
        };
        let head = match &tensors[plan.heads.lm.index()] {
            Stored::Dense(values) => values.clone(),
            // Heads are no matrices of a module and stay dense.
            _ => Vec::new(),
        };
        let read_out = ReadOut::from_dense(&plan, head);
        Self {
            plan,
            tensors,
            read_out,
            rotary,
            relations,
        }
    }

    /// Changes the values of a model in training, and makes it ready again.
    pub(crate) fn retrain(&mut self, bf16: bool, change: impl FnOnce(&mut [Vec<f32>])) {
        let dense = |tensor| match tensor {
            Stored::Dense(values) => values,
            Stored::Bf16(matrix) => matrix.dense,
            // Only models made of dense values are trained.
            Stored::Int8(_) | Stored::Int4(_) => Vec::new(),
        };
        let tensors = std::mem::take(&mut self.tensors).into_iter();
        let mut values: Vec<Vec<f32>> = tensors.map(dense).collect();
        change(&mut values);
        *self = Self::for_training(Arc::clone(&self.plan), values, bf16);
    }

    /// The values of a model in training, in the plan's order.
    pub(crate) fn dense_values(&self) -> Vec<Vec<f32>> {
        (0..self.tensors.len())
            .map(|place| self.dense_value(place))
            .collect()
    }

    /// Those of the tensor at a place of the plan.
    pub(crate) fn dense_value(&self, place: usize) -> Vec<f32> {
        match &self.tensors[place] {
            Stored::Dense(values) => values.clone(),
            Stored::Bf16(matrix) => matrix.dense.clone(),
            Stored::Int8(_) | Stored::Int4(_) => Vec::new(),
        }
    }

    /// The architecture.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The output head on its own.
    #[must_use]
    pub fn read_out(&self) -> &ReadOut {
        &self.read_out
    }

    /// The numbers its matrix products are computed in.
    #[must_use]
    pub fn arithmetic(&self) -> Arithmetic {
        let integers = |t: &Stored| matches!(t, Stored::Int8(_) | Stored::Int4(_));
        if self.tensors.iter().any(integers) {
            Arithmetic::Int8
        } else {
            Arithmetic::F32
        }
    }

    /// What the processor offers for its kernels, for people; `None` for
    /// plain products in f32.
    #[must_use]
    pub fn kernel(&self) -> Option<&'static str> {
        let name = |tensor: &Stored| match tensor {
            Stored::Int8(packed) => Some(packed.kernel_name()),
            Stored::Int4(packed) => Some(packed.kernel_name()),
            _ => None,
        };
        let mut relational = self.relations.iter().flatten().flatten();
        self.tensors
            .iter()
            .find_map(name)
            .or_else(|| relational.next().map(relations::Packed::kernel_name))
    }

    fn stored(&self, id: TensorId) -> &Stored {
        &self.tensors[id.index()]
    }

    /// A tensor that is always dense: anything but a module's matrix, and
    /// those too in training.
    pub(crate) fn tensor(&self, id: TensorId) -> &[f32] {
        match self.stored(id) {
            Stored::Dense(values) => values,
            Stored::Int8(_) | Stored::Int4(_) => &[],
            Stored::Bf16(matrix) => &matrix.dense,
        }
    }
}
