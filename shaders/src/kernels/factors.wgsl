// The norm of the normalised gate, as a factor on what follows it:
// factors[outer, lane] = 1 / sqrt(eps + 1/width * sum over i of squares[outer, i, lane])

struct Params {
    outer: u32,
    terms: u32,
    lanes: u32,
    // Elements that the mean is over, padding not counted.
    width: f32,
    epsilon: f32,
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(0) @binding(2) var<storage, read_write> factors: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.outer * params.lanes {
        return;
    }
    let from_index = id.x / params.lanes * params.terms * params.lanes + id.x % params.lanes;
    var sum = 0.0;
    for (var i = 0u; i < params.terms; i += 1u) {
        sum += squares[from_index + i * params.lanes];
    }
    factors[id.x] = inverseSqrt(params.epsilon + sum / params.width);
}
