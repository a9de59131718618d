// What the groups of a row's position add to its product.

// [row of a group, column].
@group(0) @binding(6) var<storage, read> messages: array<vec4<f32>>;
// [position, relation]: the group's row in the first sequence, and rows from
// sequence to sequence.
@group(0) @binding(8) var<storage, read> places: array<vec2<u32>>;

fn joined(row: u32, column4: u32, value: vec4<f32>) -> vec4<f32> {
    let from_place = row % params.positions * params.relations;
    let sequence = row / params.positions;
    var sum = value;
    for (var i = 0u; i < params.relations; i += 1u) {
        let place = places[from_place + i];
        sum += messages[(place.x + sequence * place.y) * params.columns4 + column4];
    }
    return sum;
}
