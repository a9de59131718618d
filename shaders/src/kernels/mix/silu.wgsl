// Rows are gate, value, gate, value: y = silu(gate) * value.

@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

fn finish(batch: u32, row: u32, column4: u32, gate: vec4<f32>, value: vec4<f32>) {
    if row < params.rows {
        y[(batch * params.rows + row) / 2u * params.columns4 + column4] = gate / (1.0 + exp(-gate)) * value;
    }
}
