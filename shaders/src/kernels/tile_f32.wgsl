// Tiles of 32-bit floats.

alias Element = f32;

fn of_x(v: vec4<f32>) -> vec4<f32> {
    return v;
}

fn of_weights(v: vec4<f32>) -> vec4<f32> {
    return v;
}
