// Rows are gate, value, gate, value: y = sigmoid(gate) * gate * value, and
// (gate * value)^2, from which `factors` makes the norm.

@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> squares: array<vec4<f32>>;

fn finish(batch: u32, row: u32, column4: u32, gate: vec4<f32>, value: vec4<f32>) {
    if row < params.rows {
        let i = (batch * params.rows + row) / 2u * params.columns4 + column4;
        let product = gate * value;
        y[i] = product / (1.0 + exp(-gate));
        squares[i] = product * product;
    }
}
