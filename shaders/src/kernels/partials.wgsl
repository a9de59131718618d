// The sums of a summary in 64 parts a sequence: squared changes of z_H and
// z_L, and the q head's products.

struct Params {
    positions: u32,
    hidden4: u32,
    // Positions that the q head looks at.
    pooled: u32,
    // Its outputs, 1 or 2.
    outputs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [sequence, position, hidden].
@group(0) @binding(1) var<storage, read> z_h: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> z_l: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> before_h: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> before_l: array<vec4<f32>>;
// [outputs, hidden].
@group(0) @binding(5) var<storage, read> q_weight: array<vec4<f32>>;
// [sequence, 64].
@group(0) @binding(6) var<storage, read_write> partials: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let elements = params.positions * params.hidden4;
    let start = group.x * elements;
    var part = vec4<f32>();
    for (var i = index; i < elements; i += 64u) {
        let h = z_h[start + i] - before_h[start + i];
        let l = z_l[start + i] - before_l[start + i];
        part.x += dot(h, h);
        part.y += dot(l, l);
    }
    for (var i = index; i < params.pooled * params.hidden4; i += 64u) {
        let z = z_h[start + i];
        let channel = i % params.hidden4;
        part.z += dot(z, q_weight[channel]);
        part.w += dot(z, q_weight[(params.outputs - 1u) * params.hidden4 + channel]);
    }
    partials[group.x * 64u + index] = part;
}
