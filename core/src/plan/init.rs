//! What fresh tensors and states are drawn from.

use rand::Rng;

use super::Init;

/// Standard deviation of a unit normal cut at two of its deviations.
/// `sqrt(1 - 2·2·φ(2) / (Φ(2) - Φ(-2)))`, φ and Φ the normal's density and
/// distribution.
const CUT_STD: f64 = 0.879_625_661_034_239_8;

/// Draws one tensor's initial values.
pub fn sample(init: Init, elements: usize, rng: &mut impl Rng) -> Vec<f32> {
    match init {
        Init::Zeros => vec![0.0; elements],
        Init::Constant(value) => vec![value; elements],
        Init::TruncatedNormal { std } => {
            let scale = f64::from(std) / CUT_STD;
            (0..elements)
                .map(|_| (scale * cut_normal(rng)) as f32)
                .collect()
        }
    }
}

/// A unit normal conditioned on `[-2, 2]`, by rejection from Box-Muller
/// pairs (95 % are kept).
fn cut_normal(rng: &mut impl Rng) -> f64 {
    loop {
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let value = radius * (std::f64::consts::TAU * rng.random::<f64>()).cos();
        if value.abs() <= 2.0 {
            return value;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn truncated_normal_has_the_wanted_deviation() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n = 200_000;
        let values = sample(Init::TruncatedNormal { std: 0.5 }, n, &mut rng);
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
        let var = values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n as f64;
        assert!(mean.abs() < 5e-3, "{mean}");
        assert!((var.sqrt() - 0.5).abs() < 5e-3, "{}", var.sqrt());
        // Cut at two deviations of the underlying, wider normal.
        let limit = 1.0 / CUT_STD as f32;
        assert!(values.iter().all(|v| v.abs() <= limit));
    }
}
