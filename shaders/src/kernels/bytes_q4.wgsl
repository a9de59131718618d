// Four weights along a row, as signed bytes: nibbles from 0 to 15 mean -8 to 7.
fn weight_bytes(i: u32) -> u32 {
    let half = weights[i >> 1u] >> ((i & 1u) * 16u);
    let spread = (half & 0xfu) | ((half & 0xf0u) << 4u) | ((half & 0xf00u) << 8u) | ((half & 0xf000u) << 12u);
    // Below 8 the upper five bits are set: 8 * 31 = 0xf8.
    return (spread & 0x07070707u) | ((~spread & 0x08080808u) * 31u);
}

// What 32 weights along a row are multiplied with, besides the row's scale.
fn weight_step(i: u32) -> f32 {
    let group = i >> 3u;
    return unpack2x16float(scales[group >> 1u])[group & 1u];
}
