// Four numbers in steps of 1 / inverse, as signed bytes of a word.
fn bytes(v: vec4<f32>, inverse: f32) -> u32 {
    return pack4xI8(vec4<i32>(round(v * inverse)));
}
