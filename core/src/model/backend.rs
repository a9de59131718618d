//! Training through burn's graph, on one device or several.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Distribution, IndexingUpdateOp, Int, Tensor, TensorData};

use super::evaluate::evaluate;
use super::inputs::Inputs;
use super::network::{Network, State};
use super::optim::{Optimizer, signs};
use super::parameters::{Parameters, indices, read, upload};
use crate::cpu::train::distinct;
use crate::plan::{Plan, TensorId};
use crate::train::{
    Answers, Backend, Clock, Given, Noise, Part, Precision, SegmentGuess, Sequence, Slopes, Stride,
    TrainError, TrainerSettings, timed,
};
use crate::weights::Weights;

/// burn's tensors as a backend of training. The first device holds the
/// weights, their average and the optimizer's memory; the others hold the
/// weights too.
#[derive(Debug)]
pub struct Burn {
    plan: Arc<Plan>,
    precision: Precision,
    devices: Vec<Device>,
    /// The weights on each device.
    parameters: Vec<Parameters>,
    /// Of the puzzle embedding there is none, and nothing is in its place.
    average: Option<Parameters>,
    optimizer: Optimizer,
}

/// Gradients on a device, in the plan's order.
#[derive(Debug)]
pub struct Gradients {
    /// Those of the table of puzzle embeddings are of the rows in use alone.
    tensors: Vec<Option<Tensor<2>>>,
    /// The identifiers in use, ascending.
    rows: Vec<u32>,
}

impl Burn {
    /// A backend on these devices, of which there must be one, that begins
    /// with these weights, which are of this plan.
    ///
    /// # Panics
    /// Without a device.
    #[must_use]
    pub fn new(
        plan: &Arc<Plan>,
        weights: &Weights,
        settings: &TrainerSettings,
        devices: Vec<Device>,
    ) -> Self {
        let (first, others) = (&devices[0], &devices[1..]);
        let parameters = Parameters::from_weights(plan, weights, first);
        let copies = others.iter().map(|device| parameters.copied_to(device));
        let copies: Vec<Parameters> = copies.collect();
        // Another owner of the table would have it copied at every step.
        let kept = || match plan.puzzle_table() {
            Some(table) => parameters.with(table, Tensor::zeros([1, 1], first)),
            None => parameters.clone(),
        };
        Self {
            precision: settings.precision,
            average: settings.ema.map(|_| kept()),
            optimizer: Optimizer::new(plan, settings.optimizer, first),
            plan: Arc::clone(plan),
            parameters: std::iter::once(parameters).chain(copies).collect(),
            devices,
        }
    }

    /// The weights on each device.
    #[must_use]
    pub fn parameters(&self) -> &[Parameters] {
        &self.parameters
    }

    fn home(&self) -> &Device {
        &self.devices[0]
    }

    /// Gives the other devices the weights of the first, but for the table of
    /// puzzle embeddings, of which they have the same already.
    fn hand_out(&mut self) {
        let table = self.plan.puzzle_table();
        if let [first, others @ ..] = self.parameters.as_mut_slice() {
            for (copy, device) in others.iter_mut().zip(&self.devices[1..]) {
                let pairs = copy.tensors_mut().iter_mut().zip(first.tensors());
                for (i, (copy, value)) in pairs.enumerate() {
                    if table.is_none_or(|table| table.index() != i) {
                        *copy = value.clone().to_device(device);
                    }
                }
            }
        }
    }

    /// The weights to use.
    fn averaged(&self) -> Parameters {
        let own = &self.parameters[0];
        match (&self.average, self.plan.puzzle_table()) {
            (Some(average), Some(table)) => average.with(table, own.get(table)),
            (Some(average), None) => average.clone(),
            (None, _) => own.clone(),
        }
    }

    /// Moves the rows in use of every device's table of puzzle embeddings.
    fn move_table(&mut self, rows: &[u32], gradient: &Tensor<2>, factor: f64) {
        let Some(table) = self.plan.puzzle_table() else {
            return;
        };
        let settings = *self.optimizer.settings();
        for (parameters, device) in self.parameters.iter_mut().zip(&self.devices) {
            let Some(values) = parameters.tensors_mut().get_mut(table.index()) else {
                continue;
            };
            // With one owner it is changed where it is.
            let own = std::mem::replace(values, Tensor::zeros([1, 1], device));
            let gradient = gradient.clone().to_device(device);
            *values = signs(&settings, own, rows, gradient, factor);
        }
    }

    fn read_all(&self, parameters: &Parameters) -> Result<Vec<Vec<f32>>, TrainError> {
        let tensors = self.plan.tensors.iter().zip(parameters.tensors());
        tensors
            .map(|(spec, tensor)| read(tensor.clone(), &spec.name))
            .collect()
    }
}

impl Backend for Burn {
    type States = State;
    type Gradients = Gradients;

    fn devices(&self) -> usize {
        self.devices.len()
    }

    fn initial(&self, device: usize, rows: usize) -> State {
        State::initial(&self.plan, &self.parameters[device], rows)
    }

    fn restarted(
        &self,
        device: usize,
        states: &State,
        begins: &[bool],
        drawn: Option<[Vec<f32>; 2]>,
    ) -> State {
        let initial = match drawn {
            Some(values) => self.states(device, values),
            None => self.initial(device, begins.len()),
        };
        states.clone().restarted(initial, begins)
    }

    fn segment(
        &self,
        device: usize,
        states: State,
        given: Given,
        clock: Option<&Clock>,
        grade: &mut dyn FnMut(&Answers) -> Result<Slopes, TrainError>,
    ) -> Result<(State, Self::Gradients), TrainError> {
        let plan = &*self.plan;
        let (parameters, device) = (&self.parameters[device], &self.devices[device]);
        let sequences: Vec<&[u8]> = given.tokens.chunks_exact(plan.config.seq_len).collect();
        // Of the table of puzzle embeddings the rows in use alone, so that its
        // size costs nothing.
        let (local, rows, places) = match plan.puzzle_table() {
            Some(table) => {
                let rows = distinct(&given.identifiers);
                let place = |id: &u32| rows.binary_search(id).map_or(0, |at| at as u32);
                let places = given.identifiers.iter().map(place).collect();
                (parameters.with_rows(table, &rows, device), rows, places)
            }
            None => (parameters.clone(), Vec::new(), given.identifiers),
        };
        let parameters = &local;
        let mut inputs = Inputs::with_last(plan, &sequences, &places, &given.last, device);
        let mut noise = DeviceNoise::new(&given.noise);
        let tracked = parameters.tracked();
        let frozen = Network::with_precision(plan, parameters, self.precision);
        let (state, answers) = timed(clock, Part::Frozen, self, || {
            frozen.frozen_updates(states, &mut inputs, given.warm_ups, &mut noise)
        });
        let output = timed(clock, Part::Tracked, self, || {
            Network::with_precision(plan, &tracked, self.precision)
                .tracked_updates(state, &inputs, answers, &mut noise)
        });
        inputs.go_on();
        let state = output.state.detached();
        let next_q = if plan.heads.q_outputs > 1 {
            timed(clock, Part::QTarget, self, || {
                read(frozen.segment(state.clone(), &inputs).q, "next q")
            })?
        } else {
            Vec::new()
        };
        let answers = Answers {
            logits: read(output.logits.clone().inner(), "logits")?,
            q: read(output.q.clone().inner(), "q")?,
            next_q,
        };
        let slopes = timed(clock, Part::Loss, self, || grade(&answers))?;
        let gradients = timed(clock, Part::Backward, self, || {
            let (logits, q) = (output.logits, output.q);
            let (logits_shape, q_shape) = (logits.dims(), q.dims());
            let slope = (logits * upload(slopes.logits, logits_shape, device)).sum()
                + (q * upload(slopes.q, q_shape, device)).sum();
            let mut gradients = slope.backward();
            let tensors = tracked.tensors().iter();
            tensors.map(|t| t.grad_remove(&mut gradients)).collect()
        });
        Ok((
            state,
            Gradients {
                tensors: gradients,
                rows,
            },
        ))
    }

    fn follow(&self, device: usize, states: &mut State, leaders: &[usize]) {
        let rows: Vec<i64> = leaders.iter().map(|&row| row as i64).collect();
        let rows = TensorData::new(rows, [leaders.len()]);
        let rows = Tensor::<1, Int>::from_data(rows, &self.devices[device]);
        states.h = states.h.clone().select(0, rows);
    }

    fn read_states(&self, states: &State) -> Result<[Vec<f32>; 2], TrainError> {
        Ok([
            read(states.h.clone(), "z_H")?,
            read(states.l.clone(), "z_L")?,
        ])
    }

    fn states(&self, device: usize, [h, l]: [Vec<f32>; 2]) -> State {
        let (positions, hidden) = (self.plan.positions, self.plan.hidden);
        let shape = [h.len() / (positions * hidden), positions, hidden];
        let device = &self.devices[device];
        State {
            h: upload(h, shape, device),
            l: upload(l, shape, device),
        }
    }

    fn add(&self, sum: Option<Self::Gradients>, mut term: Self::Gradients) -> Self::Gradients {
        let home = |g: Option<Tensor<2>>| g.map(|g| g.to_device(self.home()));
        term.tensors = term.tensors.into_iter().map(home).collect();
        let Some(mut sum) = sum else { return term };
        if let Some(table) = self.plan.puzzle_table() {
            sum.align(&mut term, table.index(), self.home());
        }
        let pairs = sum.tensors.into_iter().zip(term.tensors);
        let tensors = pairs.map(|(sum, term)| match (sum, term) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        });
        Gradients {
            tensors: tensors.collect(),
            rows: sum.rows,
        }
    }

    fn squares(&self, gradients: &Self::Gradients) -> Result<Vec<f64>, TrainError> {
        // Row by row first: a sum of fixed order on every device.
        let squares: Vec<Tensor<1>> = gradients
            .tensors
            .iter()
            .flatten()
            .map(|g| (g.clone() * g.clone()).sum_dim(1).sum())
            .collect();
        if squares.is_empty() {
            return Ok(vec![0.0; gradients.tensors.len()]);
        }
        // The one wait for the device at the end of a step, of a few bytes.
        let squares = read(Tensor::cat(squares, 0), "gradient norms")?;
        let mut squares = squares.into_iter().map(f64::from);
        let of = |g: &Option<Tensor<2>>| g.as_ref().and_then(|_| squares.next());
        Ok(gradients
            .tensors
            .iter()
            .map(of)
            .map(Option::unwrap_or_default)
            .collect())
    }

    fn read_gradients(&self, gradients: Self::Gradients) -> Result<Vec<Vec<f32>>, TrainError> {
        let named = self.plan.tensors.iter().zip(gradients.tensors);
        let tensors = named
            .map(|(spec, gradient)| match gradient {
                Some(gradient) => read(gradient, &spec.name),
                None => Ok(Vec::new()),
            })
            .collect::<Result<_, TrainError>>()?;
        let rows = gradients.rows;
        let read = crate::train::Gradients { tensors, rows };
        Ok(match self.plan.puzzle_table() {
            Some(table) => read.whole(table.index(), self.plan.tensor(table).matrix_shape()),
            None => read.tensors,
        })
    }

    fn update(&mut self, gradients: Self::Gradients, stride: Stride) -> Result<(), TrainError> {
        let cut = |g: Tensor<2>| {
            if stride.shrink < 1.0 {
                g * stride.shrink
            } else {
                g
            }
        };
        let Gradients { tensors, rows } = gradients;
        let mut tensors: Vec<_> = tensors.into_iter().map(|g| g.map(cut)).collect();
        let table = self.plan.puzzle_table().map(TensorId::index);
        if let Some(gradient) = table.and_then(|table| tensors[table].take()) {
            self.move_table(&rows, &gradient, stride.factor);
        }
        self.optimizer
            .step(&mut self.parameters[0], tensors, stride);
        self.hand_out();
        if let (Some(average), Some(keep)) = (&mut self.average, stride.keep) {
            let values = self.parameters[0].tensors();
            let pairs = average.tensors_mut().iter_mut().zip(values).enumerate();
            for (_, (mean, value)) in pairs.filter(|(i, _)| table != Some(*i)) {
                *mean = mean.clone() * keep + value.clone() * (1.0 - keep);
            }
        }
        Ok(())
    }

    fn values(&self) -> Result<Vec<Vec<f32>>, TrainError> {
        self.read_all(&self.parameters[0])
    }

    fn set_values(&mut self, values: Vec<Vec<f32>>) {
        let first = Parameters::of_values(&self.plan, values, self.home());
        let others = self.devices[1..].iter();
        let others: Vec<Parameters> = others.map(|device| first.copied_to(device)).collect();
        self.parameters = std::iter::once(first).chain(others).collect();
    }

    fn average(&self) -> Result<Vec<Vec<f32>>, TrainError> {
        self.read_all(&self.averaged())
    }

    fn memory(&self) -> Result<Vec<Vec<Vec<f32>>>, TrainError> {
        self.optimizer.read()
    }

    fn set_memory(&mut self, memory: Vec<Vec<Vec<f32>>>) {
        let home = self.home().clone();
        self.optimizer.replace(&self.plan, memory, &home);
    }

    fn evaluate(
        &self,
        inputs: &[Sequence<'_>],
        segments: usize,
    ) -> Result<Vec<Vec<SegmentGuess>>, TrainError> {
        evaluate(&self.plan, &self.averaged(), inputs, segments, self.home())
    }

    fn wait(&self) {
        for device in &self.devices {
            // A device that fails here fails again, with an error, where the
            // step reads its results.
            let _ = device.sync();
        }
    }
}

impl Gradients {
    /// Gives both the same rows of the table at this place.
    fn align(&mut self, other: &mut Self, table: usize, device: &Device) {
        if self.rows == other.rows {
            return;
        }
        let rows = distinct(&[self.rows.as_slice(), &other.rows].concat());
        for gradients in [self, other] {
            let places = gradients.rows.iter().map(|row| rows.binary_search(row));
            // Rows hold those of both.
            let places: Vec<u32> = places.flatten().map(|at| at as u32).collect();
            let own = gradients.tensors[table].take();
            gradients.tensors[table] = own.map(|own| {
                let zeros = Tensor::zeros([rows.len(), own.dims()[1]], device);
                let at = indices(&places, device);
                zeros.select_assign(0, at, own, IndexingUpdateOp::Add)
            });
            gradients.rows.clone_from(&rows);
        }
    }
}

/// Held while a device is seeded and draws: some backends have one generator
/// for all threads.
static DEVICE_GENERATOR: Mutex<()> = Mutex::new(());

/// Noise that a device draws by itself: the host's generators would hold a GPU
/// up.
#[derive(Debug)]
pub(super) struct DeviceNoise {
    /// 0 for none.
    deviation: f32,
    seed: u64,
    /// Tensors drawn so far.
    drawn: u64,
}

impl DeviceNoise {
    /// None at all.
    pub(super) fn none() -> Self {
        Self::new(&Noise::none())
    }

    fn new(noise: &Noise) -> Self {
        Self {
            deviation: if noise.is_none() {
                0.0
            } else {
                noise.deviation
            },
            seed: noise.seed,
            drawn: 0,
        }
    }

    /// Noise for states of this shape.
    pub(super) fn tensor(&mut self, shape: [usize; 3], device: &Device) -> Option<Tensor<3>> {
        if self.deviation == 0.0 {
            return None;
        }
        self.drawn += 1;
        // Far from what the steps before and after draw, as their seeds are
        // random themselves.
        let seed = self.seed ^ self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let _held = DEVICE_GENERATOR
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        device.seed(seed);
        let normal = Distribution::Normal(0.0, f64::from(self.deviation));
        Some(Tensor::random(shape, normal, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_draws_normal_noise_that_can_be_repeated() {
        let device = Device::flex();
        let draw = |seed| {
            let mut noise = DeviceNoise {
                deviation: 0.5,
                seed,
                drawn: 0,
            };
            let mut next = || -> Vec<f32> {
                let tensor = noise.tensor([4, 50, 50], &device).unwrap();
                tensor.try_into_vec_as().unwrap()
            };
            [next(), next()]
        };
        let [first, second] = draw(3);
        assert_ne!(first, second);
        assert_eq!([first.clone(), second], draw(3));
        assert_ne!(draw(4)[0], first);
        let mean = |k: i32| {
            let powers = first.iter().map(|v| f64::from(*v).powi(k));
            powers.sum::<f64>() / first.len() as f64
        };
        // 10,000 values: standard errors 0.005 and 0.0035.
        assert!(mean(1).abs() < 0.03 && (mean(2) - 0.25).abs() < 0.02);
        assert!(DeviceNoise::none().tensor([1, 1, 1], &device).is_none());
    }
}
