// y[s, p, c] = x[s, p, c] / sqrt(eps + mean over p of x[s, p, c]^2), four
// channels of a sequence an invocation.

struct Params {
    sequences: u32,
    positions: u32,
    // Channels in vectors of four.
    hidden4: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.hidden4 {
        return;
    }
    let start = id.y * params.positions * params.hidden4 + id.x;
    var squares = vec4<f32>();
    for (var p = 0u; p < params.positions; p += 1u) {
        let v = x[start + p * params.hidden4];
        squares += v * v;
    }
    let factor = inverseSqrt(params.epsilon + squares / f32(params.positions));
    for (var p = 0u; p < params.positions; p += 1u) {
        let i = start + p * params.hidden4;
        y[i] = factor * x[i];
    }
}
