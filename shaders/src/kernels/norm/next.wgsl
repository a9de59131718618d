// The state, and what the next module call works on.

@group(0) @binding(3) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> next: array<vec4<f32>>;

fn write(i: u32, value: vec4<f32>) {
    let state = settled(i, value);
    y[i] = state;
    var sum = state + other[i];
    if params.three != 0u {
        sum += input[i];
    }
    next[i] = sum;
}

