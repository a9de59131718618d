// As the tiled form, in 8-bit integers: x is rounded to 127 steps of the
// largest of 32 channels of its row, products are summed exactly over those
// and scaled. A workgroup of 16 by 8 invocations computes 32 rows by 64
// columns, 4 by 4 an invocation, from tiles of depth 64 (7 kB).

// [row, depth / 16], each 16 channels.
var<workgroup> x_tile: array<vec4<u32>, 128>;
// [depth / 16, column % 4, column / 4], so that neighbours read neighbours.
var<workgroup> w_tile: array<vec4<u32>, 256>;
// [row, depth / 16]: the largest absolute values.
var<workgroup> x_largest: array<f32, 128>;
// [row, depth / 32] and [depth / 32, column]: what integers are multiplied with.
var<workgroup> x_steps: array<f32, 64>;
var<workgroup> w_steps: array<f32, 128>;

@compute @workgroup_size(16, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let depth4 = params.depth4;
    let row0 = group.y * 32u;
    let column0 = group.x * 64u;

    // What this invocation loads: 16 channels of a row of x, and 32 of a
    // column's weights.
    let x_part = index % 4u;
    let x_row = index / 4u;
    let x_from = min(row0 + x_row, params.rows - 1u) * depth4;
    let w_half = index % 2u;
    let w_column = index / 2u;
    let w_from = min(column0 + w_column, params.columns4 * 4u - 1u) * depth4;
    let w_to = w_half * 128u + w_column % 4u * 16u + w_column / 4u;

    var y0 = vec4<f32>();
    var y1 = vec4<f32>();
    var y2 = vec4<f32>();
    var y3 = vec4<f32>();
    for (var k0 = 0u; k0 < depth4; k0 += 16u) {
        let k = k0 + x_part * 4u;
        let a = channels(x_from, k, depth4);
        let b = channels(x_from, k + 1u, depth4);
        let c = channels(x_from, k + 2u, depth4);
        let d = channels(x_from, k + 3u, depth4);
        let largest = max(max(abs(a), abs(b)), max(abs(c), abs(d)));
        let mine = max(max(largest.x, largest.y), max(largest.z, largest.w));
        x_largest[index] = mine;
        workgroupBarrier();
        // Neighbours share a step; all work on the tiles before has ended.
        let both = max(mine, x_largest[index ^ 1u]);
        var inverse = 0.0;
        if both > 0.0 {
            inverse = 127.0 / both;
        }
        x_tile[index] = vec4<u32>(bytes(a, inverse), bytes(b, inverse), bytes(c, inverse), bytes(d, inverse));
        if x_part % 2u == 0u {
            x_steps[index / 2u] = both / 127.0;
        }
        let l = k0 + w_half * 8u;
        w_tile[w_to] = sixteen_weights(w_from, l, depth4);
        w_tile[w_to + 64u] = sixteen_weights(w_from, l + 4u, depth4);
        w_steps[w_half * 64u + w_column] = weight_step(w_from + min(l, depth4 - 1u));
        workgroupBarrier();

        for (var part = 0u; part < 2u; part += 1u) {
            var s0 = vec4<i32>();
            var s1 = vec4<i32>();
            var s2 = vec4<i32>();
            var s3 = vec4<i32>();
            for (var j = 2u * part; j < 2u * part + 2u; j += 1u) {
                let at = j * 64u + local.x;
                let w0 = w_tile[at];
                let w1 = w_tile[at + 16u];
                let w2 = w_tile[at + 32u];
                let w3 = w_tile[at + 48u];
                let from_row = local.y * 16u + j;
                s0 += products(x_tile[from_row], w0, w1, w2, w3);
                s1 += products(x_tile[from_row + 4u], w0, w1, w2, w3);
                s2 += products(x_tile[from_row + 8u], w0, w1, w2, w3);
                s3 += products(x_tile[from_row + 12u], w0, w1, w2, w3);
            }
            let column = part * 64u + local.x * 4u;
            let steps = vec4<f32>(w_steps[column], w_steps[column + 1u], w_steps[column + 2u], w_steps[column + 3u]);
            let x_step = local.y * 8u + part;
            y0 += vec4<f32>(s0) * (x_steps[x_step] * steps);
            y1 += vec4<f32>(s1) * (x_steps[x_step + 2u] * steps);
            y2 += vec4<f32>(s2) * (x_steps[x_step + 4u] * steps);
            y3 += vec4<f32>(s3) * (x_steps[x_step + 6u] * steps);
        }
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

// Four channels of x, zero beyond the last.
fn channels(from_row: u32, k: u32, depth4: u32) -> vec4<f32> {
    if k < depth4 {
        return x[from_row + k];
    }
    return vec4<f32>();
}

// Sixteen weights of a column, zero beyond the last.
fn sixteen_weights(from_column: u32, k: u32, depth4: u32) -> vec4<u32> {
    var four = vec4<u32>();
    for (var i = 0u; i < 4u; i += 1u) {
        if k + i < depth4 {
            four[i] = weight_bytes(from_column + k + i);
        }
    }
    return four;
}

// Products of sixteen channels with those of four columns.
fn products(v: vec4<u32>, a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(sixteen(v, a), sixteen(v, b), sixteen(v, c), sixteen(v, d));
}

fn sixteen(a: vec4<u32>, b: vec4<u32>) -> i32 {
    return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}
