//! What matrices are multiplied with: the second moments of activations,
//! which say how much an error in each weight matters.

use crate::gemm::{View, ViewMut, gemm};
use crate::plan::{Plan, TensorId};

/// Sums of `x · xᵀ` over the rows that each matrix of a plan has met.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    moments: Vec<Moments>,
}

/// Second moments of one matrix's input.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    /// `[depth, depth]`: the sum of `x · xᵀ`; empty if it was never used.
    pub sums: Vec<f32>,
    /// Rows summed.
    pub rows: usize,
}

impl Statistics {
    /// None yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            moments: vec![Moments::default(); plan.tensors.len()],
        }
    }

    /// Those of one matrix.
    #[must_use]
    pub fn get(&self, id: TensorId) -> &Moments {
        &self.moments[id.index()]
    }

    pub(crate) fn add(&mut self, id: TensorId, [rows, depth]: [usize; 2], x: View<'_>) {
        let moments = &mut self.moments[id.index()];
        moments.sums.resize(depth * depth, 0.0);
        moments.rows += rows;
        let transposed = View {
            data: x.data,
            row: x.col,
            col: x.row,
        };
        let sums = ViewMut::rows(&mut moments.sums, depth);
        gemm((depth, rows, depth), 1.0, transposed, x, 1.0, sums);
    }
}
