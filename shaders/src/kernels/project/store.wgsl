@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

fn residual_factor(row: u32) -> f32 {
    return 1.0;
}

fn finish(row: u32, column4: u32, factor: f32, value: vec4<f32>) {
    if row < params.rows {
        y[row * params.columns4 + column4] = value;
    }
}
