// Adds Gaussian noise to a state and to a sum that the state is part of. The
// draws are those of hrm_core::noise: of a counter, the same on any processor.

struct Params {
    hidden: u32,
    // Fours of channels in a row.
    lanes: u32,
    positions: u32,
    // Fours of channels in all.
    lanes_all: u32,
    // Invocations along the first axis.
    stride: u32,
    update: u32,
    unused: vec2<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
// Of each sequence: seed, bits of the deviation, updates before the segment.
@group(0) @binding(1) var<storage, read> streams: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> state: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> next: array<vec4<f32>>;

const TAU: f32 = 6.2831853;

fn mixed(before: vec4<u32>) -> vec4<u32> {
    var v = before;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

// pcg4d (Jarzynski and Olano, 2020).
fn hash(counter: vec4<u32>) -> vec4<u32> {
    let spread = mixed(counter * 1664525u + 1013904223u);
    return mixed(spread ^ (spread >> vec4<u32>(16u)));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * params.stride + id.x;
    if i >= params.lanes_all {
        return;
    }
    let row = i / params.lanes;
    let lane = i % params.lanes;
    let stream = streams[row / params.positions];
    let deviation = bitcast<f32>(stream.y);
    let counter = vec4<u32>(stream.x, stream.z + params.update, row % params.positions, lane);
    // Box and Muller: two radii, two angles.
    let uniform_ = vec4<f32>(hash(counter) >> vec4<u32>(8u)) / 16777216.0;
    let radius = sqrt(-2.0 * log(1.0 - uniform_.xz));
    let angle = TAU * uniform_.yw;
    let draws = vec4<f32>(
        radius.x * cos(angle.x),
        radius.x * sin(angle.x),
        radius.y * cos(angle.y),
        radius.y * sin(angle.y),
    );
    let channels = 4u * lane + vec4<u32>(0u, 1u, 2u, 3u);
    let noise = select(vec4<f32>(0.0), deviation * draws, channels < vec4<u32>(params.hidden));
    state[i] += noise;
    next[i] += noise;
}
