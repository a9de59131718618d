// Columns are gate, value, gate, value: y = sigmoid(gate) * gate * value, and
// the sum of (gate * value)^2, from which `factors` makes the norm.

@group(0) @binding(4) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> squares: array<f32>;

fn finish(row: u32, column4: u32, value: vec4<f32>) {
    if row < params.rows {
        let i = row * params.columns4 + column4;
        let gate = value.xz;
        let product = gate * value.yw;
        y[i] = product / (1.0 + exp(-gate));
        squares[i] = dot(product, product);
    }
}
