// Rotates the pairs of q and k by their position; v is stored as it is.

@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
// [positions, head / 2], each cosine and sine.
@group(0) @binding(5) var<storage, read> rotations: array<vec4<f32>>;

fn residual_factor(row: u32) -> f32 {
    return 1.0;
}

fn finish(row: u32, column4: u32, factor: f32, value: vec4<f32>) {
    if row < params.rows {
        var rotated = value;
        if column4 < params.rotated4 {
            let r = rotations[row % params.positions * params.head4 + column4 % params.head4];
            rotated = vec4<f32>(
                value.x * r.x - value.y * r.y,
                value.y * r.x + value.x * r.y,
                value.z * r.z - value.w * r.w,
                value.w * r.z + value.z * r.w,
            );
        }
        y[row * params.columns4 + column4] = rotated;
    }
}
