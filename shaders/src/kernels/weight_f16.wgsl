// Two f16 a word.
@group(0) @binding(2) var<storage, read> weights: array<vec2<u32>>;

// Four weights along a row.
fn weight(i: u32) -> vec4<f32> {
    let words = weights[i];
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}

// What the weights of four rows are multiplied with.
fn row_scales(row4: u32) -> vec4<f32> {
    return vec4<f32>(1.0);
}
