@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<vec4<f32>>;

// Four weights along a row, divided by 127: the scales make up for it.
fn weight(i: u32) -> vec4<f32> {
    return unpack4x8snorm(weights[i]);
}

// What the weights of four rows are multiplied with.
fn row_scales(row4: u32) -> vec4<f32> {
    return scales[row4];
}
