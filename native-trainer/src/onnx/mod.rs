//! One segment of a model as an ONNX graph: the fourth walk of the plan.
//!
//! Inputs `tokens` [batch, cells] int64, of a model with several puzzle embeddings
//! `puzzle_identifiers` [batch, 1] int64, `z_H` and `z_L` [batch, positions,
//! hidden], and of a model with feedback `last` [batch, cells, symbols], the
//! probabilities of the last answer (before the first segment certain in given
//! cells, alike in blank ones); outputs `logits` [batch, cells, vocabulary or
//! symbols], `q` [batch, 1 or 2] (halt, continue), `z_H_out`, `z_L_out`. Fixed initial states are in the
//! metadata, as JSON lists of one position's values.

mod builder;
mod proto;
mod relations;

use hrm_core::config::{Gate, QPool};
use hrm_core::plan::{Axis, Embedding, Level, Plan, Start, Sublayer, TensorId};
use hrm_core::weights::Weights;
use prost::Message;

use builder::Builder;

/// The bytes of an `.onnx` file.
pub(crate) fn segment(plan: &Plan, weights: &Weights) -> Vec<u8> {
    model(plan, weights).encode_to_vec()
}

fn model(plan: &Plan, weights: &Weights) -> proto::Model {
    let mut walk = Walk {
        plan,
        weights,
        graph: Builder::default(),
    };
    walk.segment();
    let list = |id: TensorId| {
        let values: Vec<String> = weights.dense(id).iter().map(f32::to_string).collect();
        format!("[{}]", values.join(", "))
    };
    let entry = |key: &str, value: String| proto::Entry {
        key: key.to_owned(),
        value,
    };
    let mut metadata = vec![entry("config", plan.config.to_json())];
    if let Start::Fixed { h, l } = plan.start {
        metadata.extend([entry("z_H_init", list(h)), entry("z_L_init", list(l))]);
    }
    proto::Model {
        ir_version: 8,
        producer_name: "hrm".to_owned(),
        doc_string: "One segment of a Hierarchical Reasoning Model".to_owned(),
        graph: Some(walk.graph.finish()),
        opset_import: vec![proto::OperatorSet {
            domain: String::new(),
            version: 17,
        }],
        metadata_props: metadata,
    }
}

/// The input that picks rows of the puzzle embedding.
const IDENTIFIERS: &str = "puzzle_identifiers";

struct Walk<'a> {
    plan: &'a Plan,
    weights: &'a Weights,
    graph: Builder,
}

impl Walk<'_> {
    fn segment(&mut self) {
        let plan = self.plan;
        let (cells, n, d) = (plan.config.seq_len, plan.positions, plan.hidden);
        let g = &mut self.graph;
        g.input("tokens", proto::INT64, &[cells]);
        if plan.puzzle_table().is_some() && plan.config.num_puzzle_identifiers > 1 {
            g.input(IDENTIFIERS, proto::INT64, &[1]);
        }
        g.input("z_H", proto::FLOAT, &[n, d]);
        g.input("z_L", proto::FLOAT, &[n, d]);
        let input = self.embed();
        let (mut high, mut low) = ("z_H".to_owned(), "z_L".to_owned());
        for update in &plan.updates {
            let mut x = self.graph.node("Add", &[&high, &low]);
            if update.adds_input {
                x = self.graph.node("Add", &[&x, &input]);
            }
            for sublayer in &plan.modules[update.module] {
                let y = self.sublayer(sublayer, &x);
                let sum = self.graph.node("Add", &[&x, &y]);
                x = match plan.norm_axis(sublayer) {
                    Axis::Channels => self.normalize(&sum),
                    Axis::Positions => self.normalize_over(&sum, 1),
                };
            }
            let state = match update.level {
                Level::High => &mut high,
                Level::Low => &mut low,
            };
            if let Some(damping) = update.damping {
                let g = &mut self.graph;
                let [new, old] = [damping, 1.0 - damping].map(|share| g.float(share));
                let old = g.node("Mul", &[state, &old]);
                x = g.node("Mul", &[&x, &new]);
                x = g.node("Add", &[&old, &x]);
            }
            *state = x;
        }
        self.heads(&high);
        self.graph.output(&high, "z_H_out", &[n, d]);
        self.graph.output(&low, "z_L_out", &[n, d]);
    }

    /// The puzzle embeddings and the zeros of further positions in front are
    /// the table's last rows, and the tokens in front of every puzzle are
    /// their numbers.
    fn embed(&mut self) -> String {
        let plan = self.plan;
        let e = match &plan.embedding {
            Embedding::Tokens(e) => e,
            Embedding::Roles(e) => return self.roles(e),
        };
        let (d, vocabulary) = (plan.hidden, plan.config.vocab_size);
        let mut table = self.weights.dense(e.tokens).into_owned();
        let mut identifiers = 0;
        if let Some(id) = e.puzzle {
            table.extend_from_slice(&self.weights.dense(id));
            identifiers = plan.tensor(id).shape[0];
            if plan.prefix > 1 {
                table.resize(table.len() + d, 0.0);
            }
        }
        table.iter_mut().for_each(|v| *v *= e.scale);
        let rows = table.len() / d;
        let g = &mut self.graph;
        let table = g.floats("embedding", &[rows, d], &table);
        let mut tokens = "tokens".to_owned();
        // From the cells outwards: the zeros, then the puzzle embedding.
        let zeros = plan.prefix.saturating_sub(1);
        let only = (plan.prefix - zeros) * usize::from(identifiers == 1);
        for (count, row) in [(zeros, vocabulary + identifiers), (only, vocabulary)] {
            if count > 0 {
                let pads = g.integers(&[0, count as i64, 0, 0]);
                let number = g.integer(row as i64);
                tokens = g.node("Pad", &[&tokens, &pads, &number]);
            }
        }
        if identifiers > 1 {
            let first = g.integer(vocabulary as i64);
            let own = g.node("Add", &[IDENTIFIERS, &first]);
            tokens = g.concat(&[&own, &tokens], 1);
        }
        let mut x = g.node("Gather", &[&table, &tokens]);
        if let Some(id) = e.positions {
            let mut places = self.weights.dense(id).into_owned();
            places.iter_mut().for_each(|v| *v *= e.scale);
            let places = g.floats("positions", &[plan.positions, d], &places);
            x = g.node("Add", &[&x, &places]);
        }
        x
    }

    fn sublayer(&mut self, sublayer: &Sublayer, x: &str) -> String {
        match *sublayer {
            Sublayer::Attention {
                qkv,
                out,
                heads,
                head_dim,
                rope_theta,
            } => {
                let projected = self.project(x, qkv);
                let mixed = self.attention(&projected, [heads, head_dim], rope_theta);
                self.project(&mixed, out)
            }
            Sublayer::GatedMlp {
                axis,
                gate_up,
                down,
                inner,
                gate,
            } => {
                let over_positions = axis == Axis::Positions;
                let turn = |walk: &mut Self, x: &str| {
                    if over_positions {
                        walk.graph.transpose(x, &[0, 2, 1])
                    } else {
                        x.to_owned()
                    }
                };
                let x = turn(self, x);
                let projected = self.project(&x, gate_up);
                let halves = self.graph.split(&projected, 2, &[inner, inner]);
                let gated = self.gated(&halves[0], &halves[1], gate);
                let y = self.project(&gated, down);
                turn(self, &y)
            }
            Sublayer::Relations {
                project,
                gate_up,
                down,
                message,
                inner,
                gate,
                pooling,
            } => {
                let projected = self.project(x, project);
                let joined = self.joined(x, &projected, message, pooling);
                let both = self.project(&joined, gate_up);
                let halves = self.graph.split(&both, 2, &[inner, inner]);
                let gated = self.gated(&halves[0], &halves[1], gate);
                self.project(&gated, down)
            }
        }
    }

    fn gated(&mut self, gate: &str, value: &str, form: Gate) -> String {
        let open = self.graph.node("Sigmoid", &[gate]);
        let product = self.graph.node("Mul", &[gate, value]);
        let product = match form {
            Gate::Silu => product,
            Gate::NormalizedSigmoid => self.normalize(&product),
        };
        self.graph.node("Mul", &[&open, &product])
    }

    fn attention(&mut self, qkv: &str, [heads, width]: [usize; 2], theta: Option<f64>) -> String {
        let (n, d) = (self.plan.positions, heads * width);
        let parts = self.graph.split(qkv, 2, &[d, d, d]);
        let apart = self
            .graph
            .integers(&[0, n as i64, heads as i64, width as i64]);
        let [q, k, v] = [0, 1, 2].map(|i| self.graph.node("Reshape", &[&parts[i], &apart]));
        let [q, k] = match theta {
            None => [q, k],
            Some(theta) => [q, k].map(|x| self.rotate(&x, width, theta)),
        };
        let g = &mut self.graph;
        let q = g.transpose(&q, &[0, 2, 1, 3]);
        let k = g.transpose(&k, &[0, 2, 3, 1]);
        let v = g.transpose(&v, &[0, 2, 1, 3]);
        let scores = g.node("MatMul", &[&q, &k]);
        let scale = g.float(1.0 / (width as f32).sqrt());
        let scores = g.node("Mul", &[&scores, &scale]);
        let shares = g.softmax(&scores);
        let mixed = g.node("MatMul", &[&shares, &v]);
        let mixed = g.transpose(&mixed, &[0, 2, 1, 3]);
        let together = g.integers(&[0, n as i64, d as i64]);
        g.node("Reshape", &[&mixed, &together])
    }

    /// Element `i` of a head pairs with `i + width / 2`.
    fn rotate(&mut self, x: &str, width: usize, theta: f64) -> String {
        let (n, half) = (self.plan.positions, width / 2);
        let angles: Vec<f32> = (0..n)
            .flat_map(|position| {
                (0..width).map(move |i| {
                    let exponent = 2.0 * (i % half) as f64 / width as f64;
                    let frequency = (1.0 / theta.powf(exponent)) as f32;
                    position as f32 * frequency
                })
            })
            .collect();
        let table = |f: fn(f32) -> f32| -> Vec<f32> { angles.iter().map(|&a| f(a)).collect() };
        let g = &mut self.graph;
        let cos = g.floats("cosines", &[n, 1, width], &table(f32::cos));
        let sin = g.floats("sines", &[n, 1, width], &table(f32::sin));
        let halves = g.split(x, 3, &[half, half]);
        let negative = g.node("Neg", &[&halves[1]]);
        let turned = g.concat(&[&negative, &halves[0]], 3);
        let straight = g.node("Mul", &[x, &cos]);
        let across = g.node("Mul", &[&turned, &sin]);
        g.node("Add", &[&straight, &across])
    }

    /// `x · Wᵀ`, the matrix stored the way round that ONNX multiplies; a
    /// vector is a matrix of one row.
    fn project(&mut self, x: &str, id: TensorId) -> String {
        let spec = self.plan.tensor(id);
        let values = self.weights.dense(id);
        let depth = spec.shape.last().copied().unwrap_or(1);
        let rows = values.len() / depth;
        let transposed: Vec<f32> = (0..depth)
            .flat_map(|c| (0..rows).map(move |r| (r, c)))
            .map(|(r, c)| values[r * depth + c])
            .collect();
        let weight = self.graph.floats(&spec.name, &[depth, rows], &transposed);
        self.graph.node("MatMul", &[x, &weight])
    }

    /// RMS norm over the last axis.
    fn normalize(&mut self, x: &str) -> String {
        self.normalize_over(x, -1)
    }

    /// RMS norm over an axis.
    fn normalize_over(&mut self, x: &str, axis: i64) -> String {
        let g = &mut self.graph;
        let squares = g.node("Mul", &[x, x]);
        let mean = g.mean(&squares, axis, true);
        let epsilon = g.float(self.plan.config.rms_norm_eps as f32);
        let mean = g.node("Add", &[&mean, &epsilon]);
        let root = g.node("Sqrt", &[&mean]);
        g.node("Div", &[x, &root])
    }

    fn heads(&mut self, z: &str) {
        let plan = self.plan;
        let (cells, answers) = (plan.config.seq_len, plan.heads.answers.count);
        let g = &mut self.graph;
        let of_cells = g.slice(z, 1, plan.prefix, plan.positions);
        let mut logits = self.project(&of_cells, plan.heads.lm);
        if plan.logits_a_row() != answers {
            let apart = self.graph.integers(&[0, cells as i64, answers as i64]);
            logits = self.graph.node("Reshape", &[&logits, &apart]);
        }
        self.graph.output(&logits, "logits", &[cells, answers]);
        let pooled = match plan.heads.q_pool {
            QPool::First => {
                let first = self.graph.slice(z, 1, 0, 1);
                self.graph.mean(&first, 1, false)
            }
            QPool::Mean => self.graph.mean(z, 1, false),
        };
        let q = self.project(&pooled, plan.heads.q_weight);
        let bias = self.weights.dense(plan.heads.q_bias);
        let bias = self.graph.floats("q_head.bias", &[bias.len()], &bias);
        let q = self.graph.node("Add", &[&q, &bias]);
        self.graph.output(&q, "q", &[plan.heads.q_outputs]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use hrm_core::config::ModelConfig;

    /// Every value is made before it is used, tensors are as long as their
    /// shapes say, and what is decoded is what was encoded.
    #[test]
    fn graphs_are_well_formed() {
        let presets = [
            "hrm-4x4",
            "hrm-6x6",
            "compact-6x6",
            "hrm-small",
            "eqr",
            "relational",
        ];
        let presets = presets.map(|name| (name, ModelConfig::preset(name).unwrap()));
        let (_, first) = presets[0].clone();
        let tasks = ModelConfig {
            num_puzzle_identifiers: 3,
            puzzle_emb_len: Some(2),
            ..first
        };
        for (preset, config) in presets.into_iter().chain([("tasks", tasks)]) {
            let plan = Plan::new(&config).unwrap();
            let weights = Weights::random(&plan, 1);
            let model = proto::Model::decode(segment(&plan, &weights).as_slice()).unwrap();
            let graph = model.graph.unwrap();
            let mut known: HashSet<String> = HashSet::new();
            for tensor in &graph.initializer {
                let elements: i64 = tensor.dims.iter().product();
                let size = if tensor.data_type == proto::INT64 {
                    8
                } else {
                    4
                };
                assert_eq!(
                    tensor.raw_data.len() as i64,
                    size * elements,
                    "{}",
                    tensor.name
                );
                assert!(known.insert(tensor.name.clone()), "{} twice", tensor.name);
            }
            known.extend(graph.input.iter().map(|i| i.name.clone()));
            for node in &graph.node {
                for input in &node.input {
                    assert!(
                        known.contains(input),
                        "{preset}: {} of {}",
                        input,
                        node.name
                    );
                }
                for output in &node.output {
                    assert!(known.insert(output.clone()), "{output} made twice");
                }
            }
            let outputs: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
            assert_eq!(outputs, ["logits", "q", "z_H_out", "z_L_out"]);
            assert!(outputs.iter().all(|&o| known.contains(o)));
            // A shared matrix is stored once.
            let matrices = plan.matrices().len();
            let stored = graph
                .initializer
                .iter()
                .filter(|t| t.name.contains("_proj.") || t.name.contains("relations."))
                .count();
            assert_eq!(stored, matrices, "{preset}");
        }
    }
}
