// A workgroup of 16 by 8 invocations computes 32 rows by 64 columns, 4 by 4
// an invocation, from tiles of depth 16 in workgroup memory (6 kB in
// 32 bits). A tile's products are summed in the tiles' type, the tiles in f32.

// [depth4, row].
var<workgroup> x_tile: array<vec4<Element>, 128>;
// [depth4, column % 4, column / 4], so that neighbours read neighbours.
var<workgroup> w_tile: array<vec4<Element>, 256>;

@compute @workgroup_size(16, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let depth4 = params.depth4;
    let row0 = group.y * 32u;
    let column0 = group.x * 64u;
    let last_row = params.rows - 1u;
    let last_column = params.columns4 * 4u - 1u;

    // What this invocation loads: 1 vector of x and 2 of the weights.
    let load_k = index % 4u;
    let load_row = index / 4u;
    let x_from = min(row0 + load_row, last_row) * depth4;
    let w_from = min(column0 + load_row, last_column) * depth4;
    let w_from_next = min(column0 + load_row + 32u, last_column) * depth4;
    let w_to = load_k * 64u + load_row % 4u * 16u + load_row / 4u;

    var y0 = vec4<f32>();
    var y1 = vec4<f32>();
    var y2 = vec4<f32>();
    var y3 = vec4<f32>();
    var a = vec4<Element>();
    var b = vec4<Element>();
    var c = vec4<Element>();
    if load_k < depth4 {
        a = of_x(x[x_from + load_k]);
        b = of_weights(weight(w_from + load_k));
        c = of_weights(weight(w_from_next + load_k));
    }
    for (var k0 = 0u; k0 < depth4; k0 += 4u) {
        x_tile[load_k * 32u + load_row] = a;
        w_tile[w_to] = b;
        w_tile[w_to + 8u] = c;
        workgroupBarrier();
        // The next tile is on its way while this one is worked on.
        let k = k0 + 4u + load_k;
        a = vec4<Element>();
        b = vec4<Element>();
        c = vec4<Element>();
        if k < depth4 {
            a = of_x(x[x_from + k]);
            b = of_weights(weight(w_from + k));
            c = of_weights(weight(w_from_next + k));
        }
        var s0 = vec4<Element>();
        var s1 = vec4<Element>();
        var s2 = vec4<Element>();
        var s3 = vec4<Element>();
        for (var j = 0u; j < 4u; j += 1u) {
            let at = j * 64u + local.x;
            let w = transpose(mat4x4<Element>(w_tile[at], w_tile[at + 16u], w_tile[at + 32u], w_tile[at + 48u]));
            let from_row = j * 32u + local.y * 4u;
            s0 = add_product(s0, w, x_tile[from_row]);
            s1 = add_product(s1, w, x_tile[from_row + 1u]);
            s2 = add_product(s2, w, x_tile[from_row + 2u]);
            s3 = add_product(s3, w, x_tile[from_row + 3u]);
        }
        y0 += vec4<f32>(s0);
        y1 += vec4<f32>(s1);
        y2 += vec4<f32>(s2);
        y3 += vec4<f32>(s3);
        workgroupBarrier();
    }

    let column4 = group.x * 16u + local.x;
    if column4 >= params.columns4 {
        return;
    }
    let row = row0 + local.y * 4u;
    let s = row_scales(column4);
    finish(row, column4, residual_factor(row), row_factor(row) * (y0 * s));
    finish(row + 1u, column4, residual_factor(row + 1u), row_factor(row + 1u) * (y1 * s));
    finish(row + 2u, column4, residual_factor(row + 2u), row_factor(row + 2u) * (y2 * s));
    finish(row + 3u, column4, residual_factor(row + 3u), row_factor(row + 3u) * (y3 * s));
}
