// The puzzle as positions that are a (cell, symbol) see it: the vector of
// their role, and the feedback's as often as the last answer's probability of
// the symbol says. A position an invocation.

struct Params {
    // Of all sequences.
    positions: u32,
    // Cells of a sequence, and symbols of a cell, the first of which has this
    // token.
    cells: u32,
    symbols: u32,
    first: u32,
    hidden4: u32,
    // Whether there is feedback.
    feedback: u32,
    // Invocations along the first axis.
    stride: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [sequence, cell].
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
// [sequence]: 1 where there is no last answer.
@group(0) @binding(2) var<storage, read> fresh: array<u32>;
// [sequence, cell, symbol]: of the last answer.
@group(0) @binding(3) var<storage, read> logits: array<f32>;
// [4, hidden]: the cell is blank, is given as this symbol, is given as
// another; feedback.
@group(0) @binding(4) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

const BLANK: u32 = 1u;

// Of a position by the last answer.
fn probability(position: u32) -> f32 {
    let from_symbol = position - position % params.symbols;
    var top = logits[from_symbol];
    for (var i = 1u; i < params.symbols; i += 1u) {
        top = max(top, logits[from_symbol + i]);
    }
    var sum = 0.0;
    for (var i = 0u; i < params.symbols; i += 1u) {
        sum += exp(logits[from_symbol + i] - top);
    }
    return exp(logits[position] - top) / sum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let position = id.y * params.stride + id.x;
    if position >= params.positions {
        return;
    }
    let cell = position / params.symbols;
    let token = tokens[cell];
    var role = 2u;
    if token == BLANK {
        role = 0u;
    } else if token == params.first + position % params.symbols {
        role = 1u;
    }
    var share = 0.0;
    if params.feedback != 0u {
        if fresh[cell / params.cells] == 0u {
            share = probability(position);
        } else if role == 0u {
            share = 1.0 / f32(params.symbols);
        } else if role == 1u {
            share = 1.0;
        }
    }
    let hidden4 = params.hidden4;
    for (var i = 0u; i < hidden4; i += 1u) {
        y[position * hidden4 + i] = vectors[role * hidden4 + i] + share * vectors[3u * hidden4 + i];
    }
}
