// y[batch, row, column] = sum over k of weights[row, k] * x[batch, k, column]

struct Params {
    rows: u32,
    // Rows of x; the weights are zero beyond.
    depth: u32,
    // Lengths in vectors of four.
    depth4: u32,
    columns4: u32,
    // Of the residual epilogue: whether columns have a factor of their own.
    scaled: u32,
    // Partial squares a row that it leaves, a multiple of four.
    y_parts: u32,
    unused0: u32,
    unused1: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
