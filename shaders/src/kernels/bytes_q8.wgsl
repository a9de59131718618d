// Four weights along a row, as signed bytes.
fn weight_bytes(i: u32) -> u32 {
    return weights[i];
}

// What 32 weights along a row are multiplied with, besides the row's scale.
fn weight_step(i: u32) -> f32 {
    return 1.0 / 127.0;
}
