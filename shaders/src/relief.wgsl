// A grid of values as a lit surface.

struct View {
    // Rows of the map from the surface's space to clip space.
    right: vec4f,
    up: vec4f,
    away: vec4f,
    side: u32,
    // Value at the full height; larger ones are cut off.
    top: f32,
    colours: u32,
}

@group(0) @binding(0) var<uniform> view: View;
// [side, side], the first coordinate being the fast one; below 0 where
// nothing is known.
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> palette: array<vec4f>;

struct Corner {
    @builtin(position) position: vec4f,
    @location(0) value: f32,
    @location(1) place: vec3f,
}

fn value(column: u32, row: u32) -> f32 {
    return min(values[row * view.side + column], view.top);
}

@vertex
fn corner(@builtin(vertex_index) index: u32) -> Corner {
    // Two triangles a facet.
    var columns = array(0u, 1u, 1u, 0u, 1u, 0u);
    var rows = array(0u, 0u, 1u, 0u, 1u, 1u);
    let facets = view.side - 1u;
    let facet = index / 6u;
    let column = facet % facets;
    let row = facet / facets;
    let lowest = min(
        min(value(column, row), value(column + 1u, row)),
        min(value(column, row + 1u), value(column + 1u, row + 1u)),
    );
    let c = column + columns[index % 6u];
    let r = row + rows[index % 6u];
    let here = value(c, r);
    let ground = vec2f(f32(c), f32(r)) / f32(facets) - 0.5;
    let place = vec3f(ground, 0.5 * here / view.top - 0.25);
    let at = vec4f(place, 1.0);
    var position = vec4f(dot(view.right, at), dot(view.up, at), dot(view.away, at), 1.0);
    if lowest < 0.0 {
        // All corners of an unknown facet are at one point, out of sight.
        position = vec4f(2.0, 2.0, 2.0, 1.0);
    }
    return Corner(position, here, place);
}

@fragment
fn lit(at: Corner) -> @location(0) vec4f {
    let normal = normalize(cross(dpdx(at.place), dpdy(at.place)));
    let light = mix(0.6, 1.0, abs(normal.z));
    let last = view.colours - 1u;
    let on = clamp(at.value / view.top, 0.0, 1.0) * f32(last);
    let low = min(u32(on), last - 1u);
    let colour = mix(palette[low], palette[low + 1u], on - f32(low));
    return vec4f(light * colour.rgb, 1.0);
}
