// sum + columns * v, as one chain of multiplications and additions: the
// product of a matrix and a vector would be summed by itself first.
fn add_product(sum: vec4<Element>, columns: mat4x4<Element>, v: vec4<Element>) -> vec4<Element> {
    return columns[3] * v.w + (columns[2] * v.z + (columns[1] * v.y + (columns[0] * v.x + sum)));
}
