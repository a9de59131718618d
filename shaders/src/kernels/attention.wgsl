// Softmax attention without mask: an invocation takes one query of one head
// through all keys, keeping the running maximum, sum and weighted values
// (arXiv 2205.14135). Keys and values are the same for a whole workgroup.

struct Params {
    positions: u32,
    heads: u32,
    // 1 / sqrt(width of a head).
    scale: f32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [sequence, position, q heads | k heads | v heads].
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
// [sequence, position, heads].
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

// HEAD4, the width of a head in vectors of four, is put in front.
@compute @workgroup_size(32)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let query = group.x * 32u + local.x;
    if query >= params.positions {
        return;
    }
    let width = params.heads * HEAD4;
    let row0 = group.z * params.positions;
    let head = group.y * HEAD4;

    var q: array<vec4<f32>, HEAD4>;
    var sum: array<vec4<f32>, HEAD4>;
    let q_at = (row0 + query) * 3u * width + head;
    for (var i = 0u; i < HEAD4; i += 1u) {
        q[i] = params.scale * qkv[q_at + i];
        sum[i] = vec4<f32>();
    }
    var top = -3.0e38;
    var total = 0.0;
    for (var key = 0u; key < params.positions; key += 1u) {
        let k_at = (row0 + key) * 3u * width + width + head;
        var score = 0.0;
        for (var i = 0u; i < HEAD4; i += 1u) {
            score += dot(q[i], qkv[k_at + i]);
        }
        if score > top {
            let shrink = exp(top - score);
            top = score;
            total *= shrink;
            for (var i = 0u; i < HEAD4; i += 1u) {
                sum[i] *= shrink;
            }
        }
        let weight = exp(score - top);
        total += weight;
        for (var i = 0u; i < HEAD4; i += 1u) {
            sum[i] += weight * qkv[k_at + width + i];
        }
    }
    let y_at = (row0 + query) * width + head;
    for (var i = 0u; i < HEAD4; i += 1u) {
        y[y_at + i] = sum[i] / total;
    }
}
