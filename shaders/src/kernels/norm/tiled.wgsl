// y[row] = x[row] / sqrt(eps + mean of x[row]^2), a row a workgroup.

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let start = group.x * params.width4;
    var squares = 0.0;
    for (var i = index; i < params.width4; i += 64u) {
        let v = x[start + i];
        squares += dot(v, v);
    }
    sums[index] = squares;
    for (var span = 32u; span > 0u; span /= 2u) {
        workgroupBarrier();
        if index < span {
            sums[index] += sums[index + span];
        }
    }
    workgroupBarrier();
    let factor = inverseSqrt(params.epsilon + sums[0] / params.width);
    for (var i = index; i < params.width4; i += 64u) {
        write(start + i, factor * x[start + i]);
    }
}
