fn write(i: u32, value: vec4<f32>) {
    y[i] = value;
}
