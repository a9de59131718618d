//! Fresh weights.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Tensor, Values, Weights};
use crate::plan::{Plan, sample};

impl Weights {
    /// Fresh weights of a plan, the same for the same seed on every machine.
    #[must_use]
    pub fn random(plan: &Plan, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tensors = plan
            .tensors
            .iter()
            .map(|spec| Tensor {
                shape: spec.shape.clone(),
                values: Values::F32(sample(spec.init, spec.elements(), &mut rng)),
            })
            .collect();
        Self { tensors }
    }
}
