// Products and squared distances of states with directions, kept states and
// themselves: a workgroup a pair.

struct Params {
    // Vectors of four in a state.
    elements4: u32,
    sequences: u32,
    // Columns of the result: directions first, then kept states, at last the
    // state itself.
    directions: u32,
    columns: u32,
    // Where the result starts.
    first: u32,
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [sequence, element].
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
// [direction, element].
@group(0) @binding(2) var<storage, read> directions: array<vec4<f32>>;
// [kept, sequence, element].
@group(0) @binding(3) var<storage, read> kept: array<vec4<f32>>;
// [row, sequence, column]: product, squared distance.
@group(0) @binding(4) var<storage, read_write> y: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let column = group.x;
    let start = group.y * params.elements4;
    let is_direction = column < params.directions;
    let is_itself = column + 1u == params.columns;
    let kept_start = (column - min(column, params.directions)) * params.sequences * params.elements4 + start;
    var sum = vec2<f32>();
    for (var i = index; i < params.elements4; i += 64u) {
        let a = x[start + i];
        var b = a;
        if is_direction {
            b = directions[column * params.elements4 + i];
        } else if !is_itself {
            b = kept[kept_start + i];
        }
        sum += vec2<f32>(dot(a, b), dot(a - b, a - b));
    }
    sums[index] = sum;
    for (var span = 32u; span > 0u; span /= 2u) {
        workgroupBarrier();
        if index < span {
            sums[index] += sums[index + span];
        }
    }
    if index == 0u {
        y[params.first + group.y * params.columns + column] = sums[0];
    }
}
