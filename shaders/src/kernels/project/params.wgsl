// y[row, column] = factor[row] * sum over k of x[row, k] * weights[column, k]

struct Params {
    rows: u32,
    // Lengths in vectors of four.
    depth4: u32,
    columns4: u32,
    // Of the rotary epilogue: rows of the table, vectors a head, vectors of
    // all heads of q and k. Of messages the first too: positions.
    positions: u32,
    head4: u32,
    rotated4: u32,
    // Of the input's norm: vectors of partial squares a row (0: there is no
    // norm), elements that the mean is over, and epsilon.
    parts4: u32,
    width: f32,
    epsilon: f32,
    // The same of the residual's norm, which has the same epsilon.
    residual_parts4: u32,
    residual_width: f32,
    // Partial squares a row that the epilogue leaves, a multiple of four.
    y_parts: u32,
    // Of the rows' messages: relations.
    relations: u32,
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
// [row, part]: sums of squares of the row that x is normalised by. The norm
// has no weights, so it is a factor on the product.
@group(0) @binding(7) var<storage, read> x_squares: array<vec4<f32>>;

fn row_factor(row: u32) -> f32 {
    if params.parts4 == 0u || row >= params.rows {
        return 1.0;
    }
    var sums = vec4<f32>();
    for (var i = 0u; i < params.parts4; i += 1u) {
        sums += x_squares[row * params.parts4 + i];
    }
    return inverseSqrt(params.epsilon + (sums.x + sums.y + sums.z + sums.w) / params.width);
}
