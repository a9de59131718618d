// An invocation computes 6 rows by 8 columns from registers. The row is the
// same for a whole workgroup, so that weights are read once for all
// invocations.

@compute @workgroup_size(16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let columns4 = params.columns4;
    let column4 = (group.x * 16u + local.x) * 2u;
    if column4 >= columns4 {
        return;
    }
    let depth4 = params.depth4;
    let row = group.y * 6u;
    // Rows and columns beyond the last are computed from it and not stored.
    let last = params.rows - 1u;
    let next4 = min(column4 + 1u, columns4 - 1u);
    let w0 = min(row, last) * depth4;
    let w1 = min(row + 1u, last) * depth4;
    let w2 = min(row + 2u, last) * depth4;
    let w3 = min(row + 3u, last) * depth4;
    let w4 = min(row + 4u, last) * depth4;
    let w5 = min(row + 5u, last) * depth4;
    let start = group.z * params.depth;
    let last_k = params.depth - 1u;
    // Left and right four columns of each row.
    var l0 = vec4<f32>();
    var l1 = vec4<f32>();
    var l2 = vec4<f32>();
    var l3 = vec4<f32>();
    var l4 = vec4<f32>();
    var l5 = vec4<f32>();
    var r0 = vec4<f32>();
    var r1 = vec4<f32>();
    var r2 = vec4<f32>();
    var r3 = vec4<f32>();
    var r4 = vec4<f32>();
    var r5 = vec4<f32>();
    for (var k4 = 0u; k4 < depth4; k4 += 1u) {
        let k = 4u * k4;
        let a = (start + k) * columns4;
        let b = (start + min(k + 1u, last_k)) * columns4;
        let c = (start + min(k + 2u, last_k)) * columns4;
        let d = (start + min(k + 3u, last_k)) * columns4;
        let l = mat4x4<f32>(x[a + column4], x[b + column4], x[c + column4], x[d + column4]);
        let r = mat4x4<f32>(x[a + next4], x[b + next4], x[c + next4], x[d + next4]);
        let v0 = weight(w0 + k4);
        let v1 = weight(w1 + k4);
        let v2 = weight(w2 + k4);
        let v3 = weight(w3 + k4);
        let v4 = weight(w4 + k4);
        let v5 = weight(w5 + k4);
        l0 += l * v0;
        l1 += l * v1;
        l2 += l * v2;
        l3 += l * v3;
        l4 += l * v4;
        l5 += l * v5;
        r0 += r * v0;
        r1 += r * v1;
        r2 += r * v2;
        r3 += r * v3;
        r4 += r * v4;
        r5 += r * v5;
    }
    let s0 = row_scale(row);
    let s1 = row_scale(row + 1u);
    let s2 = row_scale(row + 2u);
    let s3 = row_scale(row + 3u);
    let s4 = row_scale(row + 4u);
    let s5 = row_scale(row + 5u);
    finish(group.z, row, column4, l0 * s0, l1 * s1);
    finish(group.z, row + 2u, column4, l2 * s2, l3 * s3);
    finish(group.z, row + 4u, column4, l4 * s4, l5 * s5);
    if next4 > column4 {
        finish(group.z, row, next4, r0 * s0, r1 * s1);
        finish(group.z, row + 2u, next4, r2 * s2, r3 * s3);
        finish(group.z, row + 4u, next4, r4 * s4, r5 * s5);
    }
}

fn row_scale(row: u32) -> f32 {
    return row_scales(row / 4u)[row % 4u];
}
