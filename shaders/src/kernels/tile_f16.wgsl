// Tiles of 16-bit floats: half the memory and, on many GPUs, twice the products.
// What is summed in 16 bits is a tile's depth, 16 products: with weights up to
// 1 and activations up to 4,000 they stay below f16's largest number, 65,504.

alias Element = f16;

fn of_x(v: vec4<f32>) -> vec4<f16> {
    return vec4<f16>(clamp(v, vec4<f32>(-4000.0), vec4<f32>(4000.0)));
}

fn of_weights(v: vec4<f32>) -> vec4<f16> {
    return vec4<f16>(v);
}
