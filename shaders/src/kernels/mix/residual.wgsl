// y = residual + factor[batch, column] * value;
// and y's partial squares

@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> factor: array<vec4<f32>>;
// [batch, row, y_parts].
@group(0) @binding(7) var<storage, read_write> y_squares: array<f32>;

fn finish(batch: u32, row: u32, column4: u32, even: vec4<f32>, odd: vec4<f32>) {
    let i = (batch * params.rows + row) * params.columns4 + column4;
    var f = vec4<f32>(1.0);
    if params.scaled != 0u {
        f = factor[batch * params.columns4 + column4];
    }
    if row < params.rows {
        let sum = residual[i] + f * even;
        y[i] = sum;
        leave_square(batch * params.rows + row, column4, dot(sum, sum));
    }
    if row + 1u < params.rows {
        let j = i + params.columns4;
        let sum = residual[j] + f * odd;
        y[j] = sum;
        leave_square(batch * params.rows + row + 1u, column4, dot(sum, sum));
    }
}
