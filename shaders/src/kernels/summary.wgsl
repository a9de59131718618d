// What a segment reports of a sequence: conflicts E of its tokens if it is a
// Sudoku, q values, residuals. A sequence an invocation.

struct Params {
    sequences: u32,
    // Words of a summary, and those in front of the tokens.
    words: u32,
    head: u32,
    // Of a Sudoku; 0 for what is none.
    side: u32,
    box_rows: u32,
    box_columns: u32,
    // 1 / positions that the q head looks at, and 1 / elements of a state.
    pool_factor: f32,
    mean_factor: f32,
    q_bias: vec2<f32>,
    unused: vec2<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
// [sequence, 64].
@group(0) @binding(1) var<storage, read> partials: array<vec4<f32>>;
// [sequence, words]: conflicts, q_halt, q_continue, residual of z_H and z_L,
// then from `head` on the tokens.
@group(0) @binding(2) var<storage, read_write> summary: array<u32>;

// max(0, count - 1) summed over the digits of one row, column or box, given
// its first cell and the steps to its other cells.
fn repeats(tokens: u32, first: u32, columns: u32, rows: u32) -> u32 {
    var count = 0u;
    var seen = 0u;
    for (var r = 0u; r < rows; r += 1u) {
        for (var c = 0u; c < columns; c += 1u) {
            let token = summary[tokens + first + r * params.side + c];
            // 0 is padding, 1 a blank.
            if token > 1u {
                count += 1u;
                seen |= 1u << token;
            }
        }
    }
    return count - countOneBits(seen);
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.sequences {
        return;
    }
    let at = id.x * params.words;
    let tokens = at + params.head;
    let side = params.side;
    var conflicts = 0u;
    for (var i = 0u; i < side; i += 1u) {
        conflicts += repeats(tokens, i * side, side, 1u);
        conflicts += repeats(tokens, i, 1u, side);
        let stacks = side / params.box_columns;
        let corner = i / stacks * params.box_rows * side + i % stacks * params.box_columns;
        conflicts += repeats(tokens, corner, params.box_columns, params.box_rows);
    }

    var sums = vec4<f32>();
    for (var i = 0u; i < 64u; i += 1u) {
        sums += partials[id.x * 64u + i];
    }
    summary[at] = conflicts;
    summary[at + 1u] = bitcast<u32>(sums.z * params.pool_factor + params.q_bias.x);
    summary[at + 2u] = bitcast<u32>(sums.w * params.pool_factor + params.q_bias.y);
    summary[at + 3u] = bitcast<u32>(sqrt(sums.x * params.mean_factor));
    summary[at + 4u] = bitcast<u32>(sqrt(sums.y * params.mean_factor));
}
