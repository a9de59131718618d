// The message of every group of every relation: by channel, the mean of its
// members' values, weighted by exp(clamp(score)) where SOFTMAX. Four channels
// of a group an invocation.

struct Params {
    positions: u32,
    // Vectors of four in a message, and in a row of scores and values.
    message4: u32,
    width4: u32,
    limit: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [sequence, position, relation, parts, message]: scores where SOFTMAX, then values.
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
// Of each relation: groups, members of a group, the first group's place in
// members, its row in y.
@group(0) @binding(2) var<storage, read> relations: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> members: array<u32>;
// Of each relation [sequence, group, message].
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let message4 = params.message4;
    let relation = relations[id.z];
    let group = id.x / message4;
    let lane = id.x % message4;
    if group >= relation.x {
        return;
    }
    let start = id.y * params.positions;
    let column = id.z * select(1u, 2u, SOFTMAX) * message4 + lane;
    let first = relation.z + group * relation.y;
    var sum = vec4<f32>();
    var weights = vec4<f32>();
    for (var i = 0u; i < relation.y; i += 1u) {
        let from_column = (start + members[first + i]) * params.width4 + column;
        if SOFTMAX {
            let value = x[from_column + message4];
            let weight = exp(clamp(x[from_column], vec4<f32>(-params.limit), vec4<f32>(params.limit)));
            weights += weight;
            sum += weight * value;
        } else {
            weights += vec4<f32>(1.0);
            sum += x[from_column];
        }
    }
    y[(relation.w + id.y * relation.x + group) * message4 + lane] = sum / weights;
}
