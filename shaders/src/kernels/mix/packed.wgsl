// As the tiled form, in 8-bit integers: x is rounded to 127 steps of the
// largest of 32 positions of its column, products are summed exactly over
// those and scaled. A workgroup of 16 by 8 invocations computes 32 rows by 64
// columns, 4 by 4 an invocation, from tiles of depth 32 (5 kB).

// [depth / 4, column / 4]: a word has four positions of a column.
var<workgroup> x_tile: array<vec4<u32>, 128>;
// [depth / 4, column / 4]: the largest absolute values.
var<workgroup> x_largest: array<vec4<f32>, 128>;
// [row, depth / 16].
var<workgroup> w_tile: array<vec4<u32>, 64>;
// [row]: what integers are multiplied with.
var<workgroup> w_steps: array<f32, 32>;

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

    // What this invocation loads: four positions of its four columns of x; the
    // first half of them also 16 of a row's weights.
    let x_from = group.z * params.depth * columns4 + min(column4, columns4 - 1u);
    let w_from = min(row0 + index / 2u, params.rows - 1u) * depth4;

    var y0 = vec4<f32>();
    var y1 = vec4<f32>();
    var y2 = vec4<f32>();
    var y3 = vec4<f32>();
    for (var k0 = 0u; k0 < depth4; k0 += 8u) {
        let k = 4u * (k0 + local.y);
        let a = position(x_from, k);
        let b = position(x_from, k + 1u);
        let c = position(x_from, k + 2u);
        let d = position(x_from, k + 3u);
        x_largest[index] = max(max(abs(a), abs(b)), max(abs(c), abs(d)));
        workgroupBarrier();
        // All work on the tile before has ended.
        var largest = x_largest[local.x];
        for (var i = 1u; i < 8u; i += 1u) {
            largest = max(largest, x_largest[i * 16u + local.x]);
        }
        let inverse = select(vec4<f32>(), 127.0 / largest, largest > vec4<f32>());
        x_tile[index] = vec4<u32>(
            bytes(vec4<f32>(a.x, b.x, c.x, d.x), inverse.x),
            bytes(vec4<f32>(a.y, b.y, c.y, d.y), inverse.y),
            bytes(vec4<f32>(a.z, b.z, c.z, d.z), inverse.z),
            bytes(vec4<f32>(a.w, b.w, c.w, d.w), inverse.w),
        );
        if index < 64u {
            let l = k0 + index % 2u * 4u;
            var four = vec4<u32>();
            for (var i = 0u; i < 4u; i += 1u) {
                if l + i < depth4 {
                    four[i] = weight_bytes(w_from + l + i);
                }
            }
            w_tile[index] = four;
            if index % 2u == 0u {
                w_steps[index / 2u] = weight_step(w_from + k0);
            }
        }
        workgroupBarrier();

        var s0 = vec4<i32>();
        var s1 = vec4<i32>();
        var s2 = vec4<i32>();
        var s3 = vec4<i32>();
        for (var j = 0u; j < 2u; j += 1u) {
            let at = j * 64u + local.x;
            let from_row = local.y * 8u + j;
            let w0 = w_tile[from_row];
            let w1 = w_tile[from_row + 2u];
            let w2 = w_tile[from_row + 4u];
            let w3 = w_tile[from_row + 6u];
            for (var i = 0u; i < 4u; i += 1u) {
                let v = x_tile[at + i * 16u];
                s0 += products(v, w0[i]);
                s1 += products(v, w1[i]);
                s2 += products(v, w2[i]);
                s3 += products(v, w3[i]);
            }
        }
        let step = largest / 127.0;
        let row = local.y * 4u;
        y0 += vec4<f32>(s0) * (step * w_steps[row]);
        y1 += vec4<f32>(s1) * (step * w_steps[row + 1u]);
        y2 += vec4<f32>(s2) * (step * w_steps[row + 2u]);
        y3 += vec4<f32>(s3) * (step * w_steps[row + 3u]);
    }

    if column4 >= columns4 {
        return;
    }
    let row = row0 + local.y * 4u;
    let s = row_scales(row / 4u);
    finish(group.z, row, column4, y0 * s.x, y1 * s.y);
    finish(group.z, row + 2u, column4, y2 * s.z, y3 * s.w);
}

// A position of four columns of x, zero beyond the last.
fn position(from_column: u32, k: u32) -> vec4<f32> {
    if k < params.depth {
        return x[from_column + k * params.columns4];
    }
    return vec4<f32>();
}

// Products of four positions of four columns with those of a row.
fn products(v: vec4<u32>, w: u32) -> vec4<i32> {
    return vec4<i32>(dot4I8Packed(v.x, w), dot4I8Packed(v.y, w), dot4I8Packed(v.z, w), dot4I8Packed(v.w, w));
}
