// y = residual + factor[row] * value

@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> factor: array<f32>;

fn finish(row: u32, column4: u32, value: vec4<f32>) {
    if row < params.rows {
        let i = row * params.columns4 + column4;
        let f = select(1.0, factor[row], params.scaled != 0u);
        y[i] = residual[i] + f * value;
    }
}
