@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;

// Four weights along a row.
fn weight(i: u32) -> vec4<f32> {
    return weights[i];
}

// What the weights of four rows are multiplied with.
fn row_scales(row4: u32) -> vec4<f32> {
    return vec4<f32>(1.0);
}
