@group(0) @binding(2) var<storage, read> weights: array<u32>;
// Two f16 a word, one for 32 weights along a row.
@group(0) @binding(3) var<storage, read> scales: array<u32>;

// Four weights along a row, from half a word of eight.
fn weight(i: u32) -> vec4<f32> {
    let nibbles = vec4<u32>(weights[i >> 1u]) >> (vec4<u32>(0u, 4u, 8u, 12u) + (i & 1u) * 16u);
    let group = i >> 3u;
    let scale = unpack2x16float(scales[group >> 1u])[group & 1u];
    return scale * (vec4<f32>(nibbles & vec4<u32>(15u)) - 8.0);
}

// What the weights of four rows are multiplied with.
fn row_scales(row4: u32) -> vec4<f32> {
    return vec4<f32>(1.0);
}
