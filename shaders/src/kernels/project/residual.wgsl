// y = residual, normalised if it has to be, + value; and y's partial squares

@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> residual_squares: array<vec4<f32>>;
// [row, y_parts].
@group(0) @binding(8) var<storage, read_write> y_squares: array<f32>;

fn residual_factor(row: u32) -> f32 {
    if params.residual_parts4 == 0u || row >= params.rows {
        return 1.0;
    }
    var sums = vec4<f32>();
    for (var i = 0u; i < params.residual_parts4; i += 1u) {
        sums += residual_squares[row * params.residual_parts4 + i];
    }
    return inverseSqrt(params.epsilon + (sums.x + sums.y + sums.z + sums.w) / params.residual_width);
}

fn finish(row: u32, column4: u32, factor: f32, value: vec4<f32>) {
    if row < params.rows {
        let i = row * params.columns4 + column4;
        let sum = factor * residual[i] + value;
        y[i] = sum;
        leave_square(row, column4, dot(sum, sum));
    }
}
