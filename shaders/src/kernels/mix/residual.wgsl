// y = residual + factor[batch, column] * value

@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> factor: array<vec4<f32>>;

fn finish(batch: u32, row: u32, column4: u32, even: vec4<f32>, odd: vec4<f32>) {
    let i = (batch * params.rows + row) * params.columns4 + column4;
    var f = vec4<f32>(1.0);
    if params.scaled != 0u {
        f = factor[batch * params.columns4 + column4];
    }
    if row < params.rows {
        y[i] = residual[i] + f * even;
    }
    if row + 1u < params.rows {
        y[i + params.columns4] = residual[i + params.columns4] + f * odd;
    }
}
