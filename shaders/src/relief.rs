//! A grid of values as a lit surface, drawn by the device that computes.

use hrm_core::engine::EngineError;

use crate::context::GpuContext;
use crate::readback::Readback;

const COLOUR: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
const DEPTH: wgpu::TextureFormat = wgpu::TextureFormat::Depth24Plus;
/// Samples a pixel: what every device offers.
const SAMPLES: u32 = 4;

/// What to draw, and from where.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    /// `[side, side]`, the first coordinate being the fast one; facets with
    /// an unknown corner are left out.
    pub values: &'a [Option<u32>],
    /// Values along one side of the unit square around the origin.
    pub side: usize,
    /// The value at the full height of a half; larger ones are cut off.
    pub top: f32,
    /// Colours from the value 0 to `top`, evenly spaced, two at least; 0 to 1.
    pub colours: &'a [[f32; 3]],
    /// Rows of the map from the square's space, the third axis up, to clip
    /// space: to the right, up, away.
    pub view: [[f32; 4]; 3],
}

/// Draws surfaces of one size.
#[derive(Debug)]
pub struct Relief {
    context: GpuContext,
    pipeline: wgpu::RenderPipeline,
    size: [u32; 2],
    sampled: wgpu::Texture,
    depth: wgpu::Texture,
    picture: wgpu::Texture,
}

impl Relief {
    /// For pictures of `size`, width first, in pixels.
    ///
    /// # Errors
    /// If the device does not take that size, or is lost.
    pub async fn new(context: &GpuContext, size: [u32; 2]) -> Result<Self, EngineError> {
        context.scoped(|| Ok(Self::make(context, size))).await
    }

    fn make(context: &GpuContext, size: [u32; 2]) -> Self {
        let device = context.device();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("relief"),
            source: wgpu::ShaderSource::Wgsl(include_str!("relief.wgsl").into()),
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("relief"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("corner"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: Some(wgpu::DepthStencilState {
                format: DEPTH,
                depth_write_enabled: Some(true),
                depth_compare: Some(wgpu::CompareFunction::Less),
                stencil: wgpu::StencilState::default(),
                bias: wgpu::DepthBiasState::default(),
            }),
            multisample: wgpu::MultisampleState {
                count: SAMPLES,
                ..Default::default()
            },
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("lit"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(COLOUR.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let texture = |label, format, sample_count, more| {
            device.create_texture(&wgpu::TextureDescriptor {
                label: Some(label),
                size: wgpu::Extent3d {
                    width: size[0],
                    height: size[1],
                    depth_or_array_layers: 1,
                },
                mip_level_count: 1,
                sample_count,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: wgpu::TextureUsages::RENDER_ATTACHMENT | more,
                view_formats: &[],
            })
        };
        let nothing = wgpu::TextureUsages::empty();
        Self {
            context: context.clone(),
            pipeline,
            size,
            sampled: texture("samples", COLOUR, SAMPLES, nothing),
            depth: texture("depth", DEPTH, SAMPLES, nothing),
            picture: texture("picture", COLOUR, 1, wgpu::TextureUsages::COPY_SRC),
        }
    }

    /// Size of the pictures.
    #[must_use]
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// Draws a scene: red, green, blue and opacity of every pixel, row by row
    /// from the top. Where nothing is drawn, nothing is there.
    ///
    /// # Errors
    /// If the scene is no grid, or the device is lost or reports an error.
    pub async fn draw(&self, scene: &Scene<'_>) -> Result<Vec<u8>, EngineError> {
        let side = scene.side;
        if side < 2 || scene.values.len() != side * side || scene.colours.len() < 2 {
            let reason = format!(
                "{} values and {} colours are no surface of side {side}",
                scene.values.len(),
                scene.colours.len()
            );
            return Err(EngineError::Input {
                sequence: 0,
                reason,
            });
        }
        let context = &self.context;
        context.check().await?;
        let buffer = |label, usage, contents: &[u8]| {
            let buffer = context.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: contents.len() as u64,
                usage: usage | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            context.queue().write_buffer(&buffer, 0, contents);
            buffer
        };
        let mut view: Vec<u8> = bytemuck::cast_slice(scene.view.as_flattened()).to_vec();
        view.extend((side as u32).to_le_bytes());
        view.extend(scene.top.to_le_bytes());
        view.extend((scene.colours.len() as u32).to_le_bytes());
        view.extend([0; 4]);
        let values: Vec<f32> = scene
            .values
            .iter()
            .map(|value| value.map_or(-1.0, |value| value as f32))
            .collect();
        let colours: Vec<[f32; 4]> = scene
            .colours
            .iter()
            .map(|&[r, g, b]| [r, g, b, 1.0])
            .collect();
        let buffers = [
            buffer("view", wgpu::BufferUsages::UNIFORM, &view),
            buffer(
                "values",
                wgpu::BufferUsages::STORAGE,
                bytemuck::cast_slice(&values),
            ),
            buffer(
                "palette",
                wgpu::BufferUsages::STORAGE,
                bytemuck::cast_slice(&colours),
            ),
        ];
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(&buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bindings = context
            .device()
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("relief"),
                layout: &self.pipeline.get_bind_group_layout(0),
                entries: &entries,
            });
        let mut encoder =
            context
                .device()
                .create_command_encoder(&wgpu::CommandEncoderDescriptor {
                    label: Some("relief"),
                });
        let corners = 6 * (side - 1) * (side - 1);
        self.encode(&mut encoder, &bindings, corners as u32);
        let (readback, stride) = Readback::record_texture(context, &mut encoder, &self.picture);
        context.queue().submit([encoder.finish()]);
        let words = readback.read(context).await?;
        let width = self.size[0] as usize;
        Ok(words
            .chunks_exact(stride)
            .flat_map(|row| row[..width].iter().flat_map(|pixel| pixel.to_le_bytes()))
            .collect())
    }

    fn encode(&self, encoder: &mut wgpu::CommandEncoder, bindings: &wgpu::BindGroup, corners: u32) {
        let view =
            |texture: &wgpu::Texture| texture.create_view(&wgpu::TextureViewDescriptor::default());
        let (sampled, depth, picture) =
            (view(&self.sampled), view(&self.depth), view(&self.picture));
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("relief"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &sampled,
                depth_slice: None,
                resolve_target: Some(&picture),
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT),
                    store: wgpu::StoreOp::Discard,
                },
            })],
            depth_stencil_attachment: Some(wgpu::RenderPassDepthStencilAttachment {
                view: &depth,
                depth_ops: Some(wgpu::Operations {
                    load: wgpu::LoadOp::Clear(1.0),
                    store: wgpu::StoreOp::Discard,
                }),
                stencil_ops: None,
            }),
            timestamp_writes: None,
            occlusion_query_set: None,
            multiview_mask: None,
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, bindings, &[]);
        pass.draw(0..corners, 0..1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gpu_test;

    const SIZE: [u32; 2] = [40, 30];
    const SIDE: usize = 4;
    const TOP: f32 = 10.0;
    const COLOURS: [[f32; 3]; 3] = [[0.0, 0.0, 1.0], [0.5, 0.25, 0.5], [1.0, 1.0, 0.0]];
    /// From the side and above: `away` grows with the second axis.
    const VIEW: [[f32; 4]; 3] = [
        [1.2, -0.4, 0.0, 0.05],
        [0.2, 0.7, 1.0, 0.0],
        [0.1, 0.2, -0.15, 0.5],
    ];

    fn values() -> Vec<Option<u32>> {
        let mut values: Vec<Option<u32>> = (0..16).map(|i| Some((i * 7) % 13)).collect();
        values[15] = None;
        values
    }

    /// The nearest triangle under a point of clip space: its number, and what
    /// is seen there.
    fn seen(x: f32, y: f32) -> Option<(usize, [f32; 3])> {
        let values = values();
        let dot =
            |row: [f32; 4], p: [f32; 3]| row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + row[3];
        let mut best: Option<(f32, usize, [f32; 3])> = None;
        for facet in 0..(SIDE - 1) * (SIDE - 1) {
            let (column, row) = (facet % (SIDE - 1), facet / (SIDE - 1));
            let value = |c: usize, r: usize| values[(row + r) * SIDE + column + c];
            let corners = [(0, 0), (1, 0), (1, 1), (0, 1)];
            if corners.iter().any(|&(c, r)| value(c, r).is_none()) {
                continue;
            }
            for (half, triangle) in [[0, 1, 2], [0, 2, 3]].into_iter().enumerate() {
                let places = triangle.map(|i: usize| {
                    let (c, r) = corners[i];
                    let value = (value(c, r).unwrap() as f32).min(TOP);
                    let at = |i: usize| i as f32 / (SIDE - 1) as f32 - 0.5;
                    (
                        [at(column + c), at(row + r), 0.5 * value / TOP - 0.25],
                        value,
                    )
                });
                let clip = places.map(|(p, _)| VIEW.map(|row| dot(row, p)));
                let area = |a: [f32; 2], b: [f32; 3], c: [f32; 3]| {
                    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
                };
                let whole = area([clip[0][0], clip[0][1]], clip[1], clip[2]);
                let shares = [
                    area([x, y], clip[1], clip[2]) / whole,
                    area([x, y], clip[2], clip[0]) / whole,
                    area([x, y], clip[0], clip[1]) / whole,
                ];
                if !shares.iter().all(|&share| share >= 0.0) {
                    continue;
                }
                let mix =
                    |of: &dyn Fn(usize) -> f32| -> f32 { (0..3).map(|i| shares[i] * of(i)).sum() };
                let depth = mix(&|i| clip[i][2]);
                if best.is_some_and(|(nearest, ..)| nearest <= depth) {
                    continue;
                }
                let [a, b, c] = places.map(|(p, _)| p);
                let (u, v) = (
                    [0, 1, 2].map(|k| b[k] - a[k]),
                    [0, 1, 2].map(|k| c[k] - a[k]),
                );
                let normal = [
                    u[1] * v[2] - u[2] * v[1],
                    u[2] * v[0] - u[0] * v[2],
                    u[0] * v[1] - u[1] * v[0],
                ];
                let length = normal.iter().map(|n| n * n).sum::<f32>().sqrt();
                let light = 0.6 + 0.4 * (normal[2] / length).abs();
                let on = mix(&|i| places[i].1) / TOP * 2.0;
                let low = (on as usize).min(1);
                let colour = [0, 1, 2].map(|k| {
                    let (a, b) = (COLOURS[low][k], COLOURS[low + 1][k]);
                    light * (a + (on - low as f32) * (b - a))
                });
                best = Some((depth, 2 * facet + half, colour));
            }
        }
        best.map(|(_, triangle, colour)| (triangle, colour))
    }

    gpu_test! {
        /// Every pixel that lies within one triangle, or beside all, has the
        /// colour that plain arithmetic finds.
        async fn surfaces_look_as_computed(context) {
            let relief = Relief::new(&context, SIZE).await.unwrap();
            let scene = Scene {
                values: &values(),
                side: SIDE,
                top: TOP,
                colours: &COLOURS,
                view: VIEW,
            };
            let pixels = relief.draw(&scene).await.unwrap();
            let [width, height] = SIZE;
            assert_eq!(pixels.len(), 4 * (width * height) as usize);
            let (mut drawn, mut empty) = (0, 0);
            for row in 0..height {
                for column in 0..width {
                    let at = |dx: f32, dy: f32| {
                        let x = 2.0 * (column as f32 + dx) / width as f32 - 1.0;
                        let y = 1.0 - 2.0 * (row as f32 + dy) / height as f32;
                        seen(x, y)
                    };
                    let middle = at(0.5, 0.5);
                    let around = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
                    let number = |seen: &Option<(usize, [f32; 3])>| seen.map(|(triangle, _)| triangle);
                    if around.iter().any(|&(dx, dy)| number(&at(dx, dy)) != number(&middle)) {
                        continue;
                    }
                    let pixel = &pixels[4 * (row * width + column) as usize..][..4];
                    let Some((_, colour)) = middle else {
                        assert_eq!(pixel, [0; 4], "{column} {row}");
                        empty += 1;
                        continue;
                    };
                    assert_eq!(pixel[3], 255);
                    for (&found, expected) in pixel.iter().zip(colour) {
                        let off = (f32::from(found) - 255.0 * expected).abs();
                        assert!(off < 3.0, "{column} {row}: {pixel:?}, expected {colour:?}");
                    }
                    drawn += 1;
                }
            }
            assert!(drawn > 100 && empty > 100, "{drawn} {empty}");
            let short = Scene { side: 5, ..scene };
            assert!(matches!(relief.draw(&short).await, Err(EngineError::Input { .. })));
        }
    }
}
