// An invocation computes 6 rows by 4 columns from registers. The row is the
// same for a whole workgroup, so that x is read once for all invocations.

@compute @workgroup_size(32)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let column4 = group.x * 32u + local.x;
    if column4 >= params.columns4 {
        return;
    }
    let depth4 = params.depth4;
    let row = group.y * 6u;
    // Rows beyond the last are computed from the last and not stored.
    let last = params.rows - 1u;
    let x0 = min(row, last) * depth4;
    let x1 = min(row + 1u, last) * depth4;
    let x2 = min(row + 2u, last) * depth4;
    let x3 = min(row + 3u, last) * depth4;
    let x4 = min(row + 4u, last) * depth4;
    let x5 = min(row + 5u, last) * depth4;
    let w0 = column4 * 4u * depth4;
    var y0 = vec4<f32>();
    var y1 = vec4<f32>();
    var y2 = vec4<f32>();
    var y3 = vec4<f32>();
    var y4 = vec4<f32>();
    var y5 = vec4<f32>();
    for (var k = 0u; k < depth4; k += 1u) {
        let i = w0 + k;
        let w = mat4x4<f32>(
            weight(i),
            weight(i + depth4),
            weight(i + 2u * depth4),
            weight(i + 3u * depth4),
        );
        y0 += x[x0 + k] * w;
        y1 += x[x1 + k] * w;
        y2 += x[x2 + k] * w;
        y3 += x[x3 + k] * w;
        y4 += x[x4 + k] * w;
        y5 += x[x5 + k] * w;
    }
    let s = row_scales(column4);
    finish(row, column4, y0 * s);
    finish(row + 1u, column4, y1 * s);
    finish(row + 2u, column4, y2 * s);
    finish(row + 3u, column4, y3 * s);
    finish(row + 4u, column4, y4 * s);
    finish(row + 5u, column4, y5 * s);
}
