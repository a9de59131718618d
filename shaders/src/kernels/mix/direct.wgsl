// An invocation computes 6 rows by 4 columns from registers. The row is the
// same for a whole workgroup, so that weights are read once for all
// invocations.

@compute @workgroup_size(32)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let columns4 = params.columns4;
    let column4 = group.x * 32u + local.x;
    if column4 >= columns4 {
        return;
    }
    let depth4 = params.depth4;
    let row = group.y * 6u;
    // Rows beyond the last are computed from the last and not stored.
    let last = params.rows - 1u;
    let w0 = min(row, last) * depth4;
    let w1 = min(row + 1u, last) * depth4;
    let w2 = min(row + 2u, last) * depth4;
    let w3 = min(row + 3u, last) * depth4;
    let w4 = min(row + 4u, last) * depth4;
    let w5 = min(row + 5u, last) * depth4;
    let x0 = group.z * params.depth * columns4 + column4;
    let last_k = params.depth - 1u;
    var y0 = vec4<f32>();
    var y1 = vec4<f32>();
    var y2 = vec4<f32>();
    var y3 = vec4<f32>();
    var y4 = vec4<f32>();
    var y5 = vec4<f32>();
    for (var k4 = 0u; k4 < depth4; k4 += 1u) {
        let k = 4u * k4;
        let v = mat4x4<f32>(
            x[x0 + min(k, last_k) * columns4],
            x[x0 + min(k + 1u, last_k) * columns4],
            x[x0 + min(k + 2u, last_k) * columns4],
            x[x0 + min(k + 3u, last_k) * columns4],
        );
        y0 += v * weight(w0 + k4);
        y1 += v * weight(w1 + k4);
        y2 += v * weight(w2 + k4);
        y3 += v * weight(w3 + k4);
        y4 += v * weight(w4 + k4);
        y5 += v * weight(w5 + k4);
    }
    finish(group.z, row, column4, y0 * row_scale(row), y1 * row_scale(row + 1u));
    finish(group.z, row + 2u, column4, y2 * row_scale(row + 2u), y3 * row_scale(row + 3u));
    finish(group.z, row + 4u, column4, y4 * row_scale(row + 4u), y5 * row_scale(row + 5u));
}

fn row_scale(row: u32) -> f32 {
    return row_scales(row / 4u)[row % 4u];
}
