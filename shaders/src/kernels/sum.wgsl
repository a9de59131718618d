// y = a + b (+ c)

struct Params {
    elements4: u32,
    // Whether c is added.
    three: u32,
    // Invocations along the first axis.
    stride: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> c: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * params.stride + id.x;
    if i >= params.elements4 {
        return;
    }
    var sum = a[i] + b[i];
    if params.three != 0u {
        sum += c[i];
    }
    y[i] = sum;
}
