// Columns are gate, value, gate, value: y = sigmoid(gate) * gate * value, and
// the partial squares of gate * value, by which what follows is normalised.

@group(0) @binding(4) var<storage, read_write> y: array<vec2<f32>>;
// [row, y_parts].
@group(0) @binding(5) var<storage, read_write> y_squares: array<f32>;

fn residual_factor(row: u32) -> f32 {
    return 1.0;
}

fn finish(row: u32, column4: u32, factor: f32, value: vec4<f32>) {
    if row < params.rows {
        let whole = joined(row, column4, value);
        let gate = whole.xz;
        let product = gate * whole.yw;
        y[row * params.columns4 + column4] = product / (1.0 + exp(-gate));
        leave_square(row, column4, dot(product, product));
    }
}
