struct Params {
    rows: u32,
    // Length of a row in vectors of four.
    width4: u32,
    // Its length without padding, which is zero.
    width: f32,
    epsilon: f32,
    // Whether the next module call gets the embedded puzzle too.
    three: u32,
    // Share of the new state, 1 without damping.
    damping: f32,
    unused0: u32,
    unused1: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
