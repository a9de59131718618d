//! Where a sequence's states begin.

use std::borrow::Cow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::tensors::TensorList;
use super::{Init, Plan, TensorId, TensorKind};
use crate::config::InitialState;

/// Seed of the draw that a plain pass begins from, where states are drawn:
/// the same for every puzzle, so that it can be repeated anywhere.
pub const PLAIN_START: u64 = 0;

/// Both states' values before the first update.
const UNIT: Init = Init::TruncatedNormal { std: 1.0 };

/// `z_H` and `z_L` before the first update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The same vector at every position, `[hidden]` each.
    Fixed {
        /// `H_init`.
        h: TensorId,
        /// `L_init`.
        l: TensorId,
    },
    /// Every element drawn for every sequence.
    Random,
}

impl Start {
    /// The tensors are listed where there are any.
    pub(super) fn new(initial: InitialState, hidden: usize, t: &mut TensorList) -> Self {
        match initial {
            InitialState::Fixed => Self::Fixed {
                h: t.push("H_init", &[hidden], TensorKind::Buffer, UNIT),
                l: t.push("L_init", &[hidden], TensorKind::Buffer, UNIT),
            },
            InitialState::Random => Self::Random,
        }
    }

    /// One random state of so many elements.
    #[must_use]
    pub fn draw(elements: usize, rng: &mut impl Rng) -> Vec<f32> {
        super::sample(UNIT, elements, rng)
    }
}

impl Plan {
    /// The initial `z_H` and `z_L` of a sequence, `[positions, hidden]` each.
    /// `vector` gives a tensor's values; `rng` is asked only where the states
    /// are drawn.
    pub fn initial_states<'t>(
        &self,
        vector: impl Fn(TensorId) -> Cow<'t, [f32]>,
        rng: &mut impl Rng,
    ) -> [Vec<f32>; 2] {
        match self.start {
            Start::Fixed { h, l } => [h, l].map(|id| vector(id).repeat(self.positions)),
            Start::Random => [(); 2].map(|()| Start::draw(self.positions * self.hidden, rng)),
        }
    }

    /// Those of a plain pass, see [`PLAIN_START`].
    pub fn plain_states<'t>(&self, vector: impl Fn(TensorId) -> Cow<'t, [f32]>) -> [Vec<f32>; 2] {
        self.initial_states(vector, &mut ChaCha8Rng::seed_from_u64(PLAIN_START))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::puzzle::Shape;
    use crate::weights::Weights;

    #[test]
    fn fixed_states_repeat_a_vector_and_random_ones_are_drawn() {
        let fixed = Plan::new(&ModelConfig::hrm(Shape::S4, 16, 2, 1)).unwrap();
        let weights = Weights::random(&fixed, 1);
        let [h, l] = fixed.plain_states(|id| weights.dense(id));
        assert_eq!(h.len(), fixed.positions * 16);
        assert_eq!(h[..16], h[16..32]);
        assert_ne!(h, l);

        let random = Plan::new(&ModelConfig::eqr(Shape::S4, 64, 8)).unwrap();
        assert!(random.tensors.iter().all(|t| !t.name.ends_with("_init")));
        let weights = Weights::random(&random, 1);
        let vector = |id| weights.dense(id);
        let drawn = random.plain_states(vector);
        assert_eq!(drawn, random.plain_states(vector));
        let other = random.initial_states(vector, &mut ChaCha8Rng::seed_from_u64(1));
        assert_ne!(drawn, other);
        let mean = |k: i32| {
            let values = drawn.iter().flatten();
            values.map(|v| f64::from(*v).powi(k)).sum::<f64>() / (2 * 16 * 64) as f64
        };
        // 2,048 values: standard errors 0.022 and 0.02.
        assert!(mean(1).abs() < 0.1 && (mean(2) - 1.0).abs() < 0.1);
    }
}
