// y[sequence, position] = scale * (token or puzzle, plus position)

struct Params {
    sequences: u32,
    positions: u32,
    prefix: u32,
    hidden4: u32,
    scale: f32,
    // Whether there is a table of positions.
    learned: u32,
    unused0: u32,
    unused1: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [sequences, positions - prefix].
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
// [vocabulary, hidden].
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
// [identifiers, hidden]: the first position in front; further ones are zeros.
@group(0) @binding(3) var<storage, read> puzzles: array<vec4<f32>>;
// [positions, hidden].
@group(0) @binding(4) var<storage, read> places: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;
// [sequences].
@group(0) @binding(6) var<storage, read> identifiers: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    let position = id.y;
    let sequence = id.z;
    if i >= params.hidden4 {
        return;
    }
    var value = vec4<f32>();
    if position < params.prefix {
        if position == 0u {
            value = puzzles[identifiers[sequence] * params.hidden4 + i];
        }
    } else {
        let cell = sequence * (params.positions - params.prefix) + position - params.prefix;
        value = table[tokens[cell] * params.hidden4 + i];
    }
    if params.learned != 0u {
        value += places[position * params.hidden4 + i];
    }
    y[(sequence * params.positions + position) * params.hidden4 + i] = params.scale * value;
}
