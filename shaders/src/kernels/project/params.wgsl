// y[row, column] = sum over k of x[row, k] * weights[column, k]

struct Params {
    rows: u32,
    // Lengths in vectors of four.
    depth4: u32,
    columns4: u32,
    // Of the rotary epilogue: rows of the table, vectors a head, vectors of
    // all heads of q and k.
    positions: u32,
    head4: u32,
    rotated4: u32,
    // Of the residual epilogue: whether rows have a factor of their own.
    scaled: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
