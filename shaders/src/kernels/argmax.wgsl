// The most likely token of every cell, the first among equals.

struct Params {
    sequences: u32,
    // Rows of logits of a sequence, and those in front of the cells.
    rows: u32,
    prefix: u32,
    // Logits of a cell, and the token of the first.
    answers: u32,
    first: u32,
    // Length of a row of logits, and of a sequence's summary.
    stride: u32,
    summary: u32,
    // Words of a summary in front of the tokens.
    head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [sequence, row, stride].
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> summary: array<u32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let cells = params.rows - params.prefix;
    let cell = id.x;
    let sequence = id.y;
    if cell >= cells {
        return;
    }
    let row = (sequence * params.rows + params.prefix + cell) * params.stride;
    var best = 0u;
    for (var i = 1u; i < params.answers; i += 1u) {
        if logits[row + i] > logits[row + best] {
            best = i;
        }
    }
    summary[sequence * params.summary + params.head + cell] = params.first + best;
}
