//! Muon: momentum made orthogonal (Jordan et al. 2024), for matrices.

use burn::tensor::Tensor;

/// Newton-Schulz steps of [`orthogonal`].
const STEPS: usize = 5;

/// Coefficients of its quintic, chosen for speed near zero; singular values
/// end between 0.7 and 1.2.
const QUINTIC: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);

/// Moves the momentum towards a gradient; returns the direction to subtract:
/// the Nesterov momentum made orthogonal, times `sqrt(max(1, rows/columns))`.
pub(super) fn direction(gradient: Tensor<2>, momentum: &mut Tensor<2>, decay: f64) -> Tensor<2> {
    let [rows, columns] = gradient.dims();
    *momentum = momentum.clone() * decay + gradient.clone() * (1.0 - decay);
    let ahead = momentum.clone() * decay + gradient * (1.0 - decay);
    orthogonal(ahead) * (rows as f64 / columns as f64).max(1.0).sqrt()
}

/// Approximately `U Vᵀ` of the singular value decomposition `U S Vᵀ`.
fn orthogonal(g: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = g.dims();
    let tall = rows > columns;
    let mut x = if tall { g.transpose() } else { g };
    let norm = (x.clone() * x.clone()).sum().sqrt().add_scalar(1e-7);
    x = x / norm.unsqueeze();
    let (a, b, c) = QUINTIC;
    for _ in 0..STEPS {
        let s = x.clone().matmul(x.clone().transpose());
        let polynomial = s.clone() * b + s.clone().matmul(s) * c;
        x = x.clone() * a + polynomial.matmul(x);
    }
    if tall { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn rows_of_a_direction_are_nearly_orthonormal() {
        let device = Device::flex();
        for shape in [[12, 30], [30, 12]] {
            let g = Tensor::<2>::random(shape, Distribution::Normal(0.0, 3.0), &device);
            let x = orthogonal(g);
            let x = if shape[0] > shape[1] {
                x.transpose()
            } else {
                x
            };
            let gram: Vec<f32> = x.clone().matmul(x.transpose()).try_into_vec_as().unwrap();
            for i in 0..12 {
                for j in 0..12 {
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!(
                        (gram[i * 12 + j] - expected).abs() < 0.55,
                        "{i} {j}: {}",
                        gram[i * 12 + j]
                    );
                }
            }
        }
    }
}
