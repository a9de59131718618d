// The new state is between the old one and what the module makes of it.
fn settled(i: u32, value: vec4<f32>) -> vec4<f32> {
    return mix(y[i], value, params.damping);
}
