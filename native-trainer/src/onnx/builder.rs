//! Builds an ONNX graph node by node; values have numbers for names.

use super::proto::{
    Attribute, AttributeType, Dimension, FLOAT, Graph, INT64, Node, Shape, Tensor, TensorType,
    Type, ValueInfo,
};

/// A graph in the making.
#[derive(Debug, Default)]
pub(super) struct Builder {
    graph: Graph,
    values: usize,
}

impl Builder {
    pub(super) fn finish(mut self) -> Graph {
        self.graph.name = "segment".to_owned();
        self.graph
    }

    /// An input with a free first axis, the batch.
    pub(super) fn input(&mut self, name: &str, element: i32, axes: &[usize]) {
        self.graph.input.push(value(name, element, axes));
    }

    /// Gives a value of f32 a name to be read by.
    pub(super) fn output(&mut self, from: &str, name: &str, axes: &[usize]) {
        self.push("Identity", &[from], vec![name.to_owned()], Vec::new());
        self.graph.output.push(value(name, FLOAT, axes));
    }

    /// A node with one output and no attributes.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str]) -> String {
        self.with(op, inputs, Vec::new())
    }

    pub(super) fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.with("Transpose", &[x], vec![ints("perm", order)])
    }

    pub(super) fn softmax(&mut self, x: &str) -> String {
        self.with("Softmax", &[x], vec![int("axis", -1)])
    }

    /// The elements of `x` along an axis that `indices` name.
    pub(super) fn gather(&mut self, x: &str, indices: &str, axis: i64) -> String {
        self.with("Gather", &[x, indices], vec![int("axis", axis)])
    }

    pub(super) fn concat(&mut self, parts: &[&str], axis: i64) -> String {
        self.with("Concat", parts, vec![int("axis", axis)])
    }

    pub(super) fn mean(&mut self, x: &str, axis: i64, keeps: bool) -> String {
        let attributes = vec![ints("axes", &[axis]), int("keepdims", i64::from(keeps))];
        self.with("ReduceMean", &[x], attributes)
    }

    pub(super) fn slice(&mut self, x: &str, axis: i64, from: usize, to: usize) -> String {
        let [from, to, axis] = [from as i64, to as i64, axis].map(|v| self.integers(&[v]));
        self.node("Slice", &[x, &from, &to, &axis])
    }

    /// Parts of these lengths along an axis.
    pub(super) fn split(&mut self, x: &str, axis: i64, lengths: &[usize]) -> Vec<String> {
        let lengths: Vec<i64> = lengths.iter().map(|&n| n as i64).collect();
        let sizes = self.integers(&lengths);
        let outputs: Vec<String> = lengths.iter().map(|_| self.fresh()).collect();
        self.push(
            "Split",
            &[x, &sizes],
            outputs.clone(),
            vec![int("axis", axis)],
        );
        outputs
    }

    /// A named constant; the same name is stored once.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let dims = shape.iter().map(|&n| n as i64).collect();
        self.constant(name.to_owned(), FLOAT, dims, bytes)
    }

    pub(super) fn float(&mut self, value: f32) -> String {
        self.floats(&format!("{value:e}"), &[], &[value])
    }

    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(
            format!("{values:?}"),
            INT64,
            vec![values.len() as i64],
            bytes,
        )
    }

    /// A named list of places.
    pub(super) fn indices(&mut self, name: &str, values: &[u32]) -> String {
        let bytes = values.iter().flat_map(|&v| i64::from(v).to_le_bytes());
        let dims = vec![values.len() as i64];
        self.constant(name.to_owned(), INT64, dims, bytes.collect())
    }

    pub(super) fn integer(&mut self, value: i64) -> String {
        self.constant(
            format!("{value}"),
            INT64,
            Vec::new(),
            value.to_le_bytes().to_vec(),
        )
    }

    fn constant(&mut self, name: String, kind: i32, dims: Vec<i64>, raw_data: Vec<u8>) -> String {
        if self.graph.initializer.iter().all(|t| t.name != name) {
            self.graph.initializer.push(Tensor {
                dims,
                data_type: kind,
                name: name.clone(),
                raw_data,
            });
        }
        name
    }

    fn with(&mut self, op: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let output = self.fresh();
        self.push(op, inputs, vec![output.clone()], attributes);
        output
    }

    fn push(&mut self, op: &str, inputs: &[&str], output: Vec<String>, attribute: Vec<Attribute>) {
        self.graph.node.push(Node {
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output,
            name: format!("{op}_{}", self.graph.node.len()),
            op_type: op.to_owned(),
            attribute,
        });
    }

    fn fresh(&mut self) -> String {
        self.values += 1;
        format!("v{}", self.values)
    }
}

fn value(name: &str, element: i32, axes: &[usize]) -> ValueInfo {
    let free = Dimension {
        value: None,
        name: Some("batch".to_owned()),
    };
    let fixed = axes.iter().map(|&n| Dimension {
        value: Some(n as i64),
        name: None,
    });
    let dim = std::iter::once(free).chain(fixed).collect();
    ValueInfo {
        name: name.to_owned(),
        kind: Some(Type {
            tensor: Some(TensorType {
                element,
                shape: Some(Shape { dim }),
            }),
        }),
    }
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i,
        kind: AttributeType::Int as i32,
        ..Attribute::default()
    }
}

fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        ints: values.to_vec(),
        kind: AttributeType::Ints as i32,
        ..Attribute::default()
    }
}
