//! Measuring states, as the GPU engine does it.

use crate::engine::{Probe, Probed};

/// A probe and what it has seen.
#[derive(Debug)]
pub(super) struct CpuProbe {
    pub(super) probe: Probe,
    /// The state before the next update, `[batch, positions, hidden]`.
    last: Vec<f32>,
    /// Those after updates, as many as are kept.
    kept: Vec<Vec<f32>>,
    /// Of each sequence, its updates since they were taken.
    probed: Vec<Vec<Probed>>,
}

impl CpuProbe {
    pub(super) fn new(probe: Probe, state: &[f32], batch: usize) -> Self {
        Self {
            probe,
            last: state.to_vec(),
            kept: Vec::new(),
            probed: vec![Vec::new(); batch],
        }
    }

    /// The state has been replaced from outside.
    pub(super) fn restart(&mut self, state: &[f32]) {
        self.last.copy_from_slice(state);
    }

    pub(super) fn measure(&mut self, state: &[f32]) {
        let each = state.len() / self.probed.len().max(1);
        for (s, probed) in self.probed.iter_mut().enumerate() {
            let range = s * each..(s + 1) * each;
            let z = &state[range.clone()];
            probed.push(Probed {
                directions: self.probe.directions.iter().map(|d| dot(z, d)).collect(),
                square: dot(z, z),
                change: super::run::rms_difference(z, &self.last[range.clone()]),
                history: self
                    .kept
                    .iter()
                    .map(|k| dot(z, &k[range.clone()]))
                    .collect(),
            });
        }
        self.last.copy_from_slice(state);
        if self.kept.len() < self.probe.history {
            self.kept.push(state.to_vec());
        }
    }

    pub(super) fn take(&mut self) -> Vec<Vec<Probed>> {
        self.probed.iter_mut().map(std::mem::take).collect()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
    products.sum::<f64>() as f32
}
