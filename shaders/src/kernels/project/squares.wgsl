// Partial squares of a row of results, zero where the row is padded.

fn leave_square(row: u32, column4: u32, square: f32) {
    let i = row * params.y_parts + column4;
    y_squares[i] = square;
    if column4 + 1u == params.columns4 {
        for (var pad = column4 + 1u; pad < params.y_parts; pad += 1u) {
            y_squares[i + pad - column4] = 0.0;
        }
    }
}
