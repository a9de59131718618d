// y[row] = x[row] / sqrt(eps + mean of x[row]^2), a row an invocation.

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.rows {
        return;
    }
    let start = id.x * params.width4;
    var squares = 0.0;
    for (var i = 0u; i < params.width4; i += 1u) {
        let v = x[start + i];
        squares += dot(v, v);
    }
    let factor = inverseSqrt(params.epsilon + squares / params.width);
    for (var i = 0u; i < params.width4; i += 1u) {
        write(start + i, factor * x[start + i]);
    }
}
