// A workgroup of 16 by 8 invocations computes 32 rows by 64 columns, 4 by 4
// an invocation, from tiles of depth 16 in workgroup memory (6 kB in
// 32 bits). A tile's products are summed in the tiles' type, the tiles in f32.

// [depth4, row].
var<workgroup> w_tile: array<vec4<Element>, 128>;
// [depth, column / 4].
var<workgroup> x_tile: array<vec4<Element>, 256>;

@compute @workgroup_size(16, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let depth4 = params.depth4;
    let columns4 = params.columns4;
    let row0 = group.y * 32u;
    let column4 = group.x * 16u + local.x;
    let last_row = params.rows - 1u;
    let last_k = params.depth - 1u;

    // What this invocation loads: 1 vector of the weights and 2 of x.
    let load_k = index % 4u;
    let load_row = index / 4u;
    let w_from = min(row0 + load_row, last_row) * depth4;
    let x_from = group.z * params.depth * columns4 + min(column4, columns4 - 1u);

    var y0 = vec4<f32>();
    var y1 = vec4<f32>();
    var y2 = vec4<f32>();
    var y3 = vec4<f32>();
    var w = vec4<Element>();
    if load_k < depth4 {
        w = of_weights(weight(w_from + load_k));
    }
    var a = of_x(x[x_from + min(local.y, last_k) * columns4]);
    var b = of_x(x[x_from + min(local.y + 8u, last_k) * columns4]);
    for (var k0 = 0u; k0 < depth4; k0 += 4u) {
        w_tile[load_k * 32u + load_row] = w;
        x_tile[local.y * 16u + local.x] = a;
        x_tile[(local.y + 8u) * 16u + local.x] = b;
        workgroupBarrier();
        // The next tile is on its way while this one is worked on.
        let next = k0 + 4u;
        w = vec4<Element>();
        if next + load_k < depth4 {
            w = of_weights(weight(w_from + next + load_k));
        }
        let k = 4u * next + local.y;
        a = of_x(x[x_from + min(k, last_k) * columns4]);
        b = of_x(x[x_from + min(k + 8u, last_k) * columns4]);
        var s0 = vec4<Element>();
        var s1 = vec4<Element>();
        var s2 = vec4<Element>();
        var s3 = vec4<Element>();
        for (var j = 0u; j < 4u; j += 1u) {
            let at = j * 64u + local.x;
            let v = mat4x4<Element>(x_tile[at], x_tile[at + 16u], x_tile[at + 32u], x_tile[at + 48u]);
            let from_row = j * 32u + local.y * 4u;
            s0 = add_product(s0, v, w_tile[from_row]);
            s1 = add_product(s1, v, w_tile[from_row + 1u]);
            s2 = add_product(s2, v, w_tile[from_row + 2u]);
            s3 = add_product(s3, v, w_tile[from_row + 3u]);
        }
        y0 += vec4<f32>(s0);
        y1 += vec4<f32>(s1);
        y2 += vec4<f32>(s2);
        y3 += vec4<f32>(s3);
        workgroupBarrier();
    }

    if column4 >= columns4 {
        return;
    }
    let row = row0 + local.y * 4u;
    let s = row_scales(row / 4u);
    finish(group.z, row, column4, y0 * s.x, y1 * s.y);
    finish(group.z, row + 2u, column4, y2 * s.z, y3 * s.w);
}
