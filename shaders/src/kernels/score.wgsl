// y[row] = sum over channels of x[row] * weights: one logit a row.

struct Params {
    rows: u32,
    // Length of a row in vectors of four.
    width4: u32,
    // Invocations along the first axis.
    stride: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y * params.stride + id.x;
    if row >= params.rows {
        return;
    }
    var sum = 0.0;
    for (var i = 0u; i < params.width4; i += 1u) {
        sum += dot(x[row * params.width4 + i], weights[i]);
    }
    y[row] = sum;
}
