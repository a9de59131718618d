// An invocation computes 6 rows by 8 columns from registers. The row is the
// same for a whole workgroup, so that x is read once for all invocations.

@compute @workgroup_size(16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let column4 = (group.x * 16u + local.x) * 2u;
    if column4 >= params.columns4 {
        return;
    }
    let depth4 = params.depth4;
    let row = group.y * 6u;
    // Rows and columns beyond the last are computed from it and not stored.
    let last = params.rows - 1u;
    let next4 = min(column4 + 1u, params.columns4 - 1u);
    let x0 = min(row, last) * depth4;
    let x1 = min(row + 1u, last) * depth4;
    let x2 = min(row + 2u, last) * depth4;
    let x3 = min(row + 3u, last) * depth4;
    let x4 = min(row + 4u, last) * depth4;
    let x5 = min(row + 5u, last) * depth4;
    let left = column4 * 4u * depth4;
    let right = next4 * 4u * depth4;
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
    for (var k = 0u; k < depth4; k += 1u) {
        let l = four_weights(left + k, depth4);
        let r = four_weights(right + k, depth4);
        let v0 = x[x0 + k];
        let v1 = x[x1 + k];
        let v2 = x[x2 + k];
        let v3 = x[x3 + k];
        let v4 = x[x4 + k];
        let v5 = x[x5 + k];
        l0 += v0 * l;
        l1 += v1 * l;
        l2 += v2 * l;
        l3 += v3 * l;
        l4 += v4 * l;
        l5 += v5 * l;
        r0 += v0 * r;
        r1 += v1 * r;
        r2 += v2 * r;
        r3 += v3 * r;
        r4 += v4 * r;
        r5 += v5 * r;
    }
    let s = row_scales(column4);
    let f0 = row_factor(row);
    let g0 = residual_factor(row);
    let f1 = row_factor(row + 1u);
    let g1 = residual_factor(row + 1u);
    let f2 = row_factor(row + 2u);
    let g2 = residual_factor(row + 2u);
    let f3 = row_factor(row + 3u);
    let g3 = residual_factor(row + 3u);
    let f4 = row_factor(row + 4u);
    let g4 = residual_factor(row + 4u);
    let f5 = row_factor(row + 5u);
    let g5 = residual_factor(row + 5u);
    finish(row, column4, g0, f0 * (l0 * s));
    finish(row + 1u, column4, g1, f1 * (l1 * s));
    finish(row + 2u, column4, g2, f2 * (l2 * s));
    finish(row + 3u, column4, g3, f3 * (l3 * s));
    finish(row + 4u, column4, g4, f4 * (l4 * s));
    finish(row + 5u, column4, g5, f5 * (l5 * s));
    if next4 > column4 {
        let t = row_scales(next4);
        finish(row, next4, g0, f0 * (r0 * t));
        finish(row + 1u, next4, g1, f1 * (r1 * t));
        finish(row + 2u, next4, g2, f2 * (r2 * t));
        finish(row + 3u, next4, g3, f3 * (r3 * t));
        finish(row + 4u, next4, g4, f4 * (r4 * t));
        finish(row + 5u, next4, g5, f5 * (r5 * t));
    }
}

// The weights of four neighbouring columns.
fn four_weights(i: u32, stride: u32) -> mat4x4<f32> {
    return mat4x4<f32>(weight(i), weight(i + stride), weight(i + 2u * stride), weight(i + 3u * stride));
}
