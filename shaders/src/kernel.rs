//! What all kernels share: arrays on the device, compiled pipelines, and
//! dispatches recorded once and replayed every segment.

use std::num::NonZeroU64;

use hrm_core::engine::EngineError;

use crate::context::GpuContext;

/// Elements of 32 bits on the device.
#[derive(Debug, Clone)]
pub(crate) struct Array {
    name: &'static str,
    buffer: wgpu::Buffer,
    /// Element of the buffer that it begins at.
    first: usize,
    len: usize,
}

/// Elements that the beginning of a part of an array is a multiple of: what
/// every device allows.
pub(crate) const PART_ALIGNMENT: usize = 64;

impl Array {
    /// An array of `len` zeros.
    pub(crate) fn zeros(
        context: &GpuContext,
        name: &'static str,
        len: usize,
    ) -> Result<Self, EngineError> {
        let bytes = 4 * len.max(4) as u64;
        let limit = context.max_array_bytes();
        if bytes > limit {
            return Err(EngineError::OutOfMemory(format!(
                "{name} needs {bytes} bytes, the device binds at most {limit}: use a smaller batch"
            )));
        }
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST
            | wgpu::BufferUsages::COPY_SRC;
        let buffer = context.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(name),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        context.count_bytes(bytes);
        Ok(Self {
            name,
            buffer,
            first: 0,
            len,
        })
    }

    /// Some of its elements, as an array of their own.
    pub(crate) fn part(&self, first: usize, len: usize) -> Result<Self, EngineError> {
        if !first.is_multiple_of(PART_ALIGNMENT) || first + len > self.len {
            return Err(EngineError::Device(format!(
                "{}: {len} elements from {first} on are no part of {}",
                self.name, self.len
            )));
        }
        Ok(Self {
            first: self.first + first,
            len,
            ..self.clone()
        })
    }

    fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: 4 * self.first as u64,
            size: NonZeroU64::new(4 * self.len.max(4) as u64),
        })
    }

    /// An array with these elements.
    pub(crate) fn new<T: bytemuck::NoUninit>(
        context: &GpuContext,
        name: &'static str,
        elements: &[T],
    ) -> Result<Self, EngineError> {
        let array = Self::zeros(context, name, elements.len())?;
        array.write(context, elements);
        Ok(array)
    }

    /// Overwrites the first elements.
    pub(crate) fn write<T: bytemuck::NoUninit>(&self, context: &GpuContext, elements: &[T]) {
        const { assert!(size_of::<T>() == 4) };
        context
            .queue()
            .write_buffer(&self.buffer, 0, bytemuck::cast_slice(elements));
    }

    /// Overwrites elements from `first` on.
    pub(crate) fn write_at<T: bytemuck::NoUninit>(
        &self,
        context: &GpuContext,
        first: usize,
        elements: &[T],
    ) {
        const { assert!(size_of::<T>() == 4) };
        context.queue().write_buffer(
            &self.buffer,
            4 * first as u64,
            bytemuck::cast_slice(elements),
        );
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

/// A compiled kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    label: String,
    pipeline: wgpu::ComputePipeline,
}

impl Kernel {
    /// Compiles the concatenation of `sources` (WGSL's module scope has no
    /// order). Errors go to the device's error scope.
    pub(crate) fn new(context: &GpuContext, label: &str, sources: &[&str]) -> Self {
        let device = context.device();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(sources.concat().into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes its workgroup memory before reading it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        Self {
            label: label.to_owned(),
            pipeline,
        }
    }

    /// Binds `params` at 0 and `arrays` at the numbers given.
    pub(crate) fn dispatch<P: bytemuck::NoUninit>(
        &self,
        context: &GpuContext,
        params: P,
        arrays: &[(u32, &Array)],
        workgroups: [usize; 3],
    ) -> Result<Dispatch, EngineError> {
        let limit = context
            .device()
            .limits()
            .max_compute_workgroups_per_dimension as usize;
        if let Some(axis) = workgroups.iter().position(|&n| n > limit) {
            return Err(EngineError::OutOfMemory(format!(
                "{}: {} workgroups along axis {axis}, the device takes {limit}: use a smaller batch",
                self.label, workgroups[axis]
            )));
        }
        let bytes = bytemuck::bytes_of(&params);
        let uniform = context.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(&self.label),
            size: bytes.len().next_multiple_of(16) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        context.queue().write_buffer(&uniform, 0, bytes);
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: uniform.as_entire_binding(),
        }];
        entries.extend(arrays.iter().map(|(binding, array)| wgpu::BindGroupEntry {
            binding: *binding,
            resource: array.binding(),
        }));
        let bindings = context
            .device()
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&self.label),
                layout: &self.pipeline.get_bind_group_layout(0),
                entries: &entries,
            });
        Ok(Dispatch {
            pipeline: self.pipeline.clone(),
            bindings,
            workgroups: workgroups.map(|n| n as u32),
        })
    }
}

/// A kernel with everything it works on, ready to be encoded any number of
/// times.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl Dispatch {
    pub(crate) fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        let [x, y, z] = self.workgroups;
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Fails, naming kernel, array and dimension, unless `array` has the given
/// lengths along its axes.
pub(crate) fn check_shape(
    kernel: &str,
    array: &Array,
    axes: &[(&str, usize)],
) -> Result<(), EngineError> {
    let expected: usize = axes.iter().map(|(_, n)| n).product();
    if array.len == expected {
        return Ok(());
    }
    let axes: Vec<String> = axes.iter().map(|(name, n)| format!("{name} {n}")).collect();
    Err(EngineError::Device(format!(
        "{kernel}: {} has {} elements, [{}] needs {expected}",
        array.name,
        array.len,
        axes.join(", ")
    )))
}

/// Fails, naming kernel and dimension, unless `value` is a multiple of four,
/// the width of the kernels' loads.
pub(crate) fn check_fours(kernel: &str, dimension: &str, value: usize) -> Result<(), EngineError> {
    if value.is_multiple_of(4) {
        return Ok(());
    }
    Err(EngineError::Device(format!(
        "{kernel}: {dimension} is {value}, must be a multiple of 4"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gpu_test;

    gpu_test! {
        async fn broken_kernels_are_errors_that_name_them(context) {
            let broken = "@compute @workgroup_size(1) fn main() { let a: f32 = 1u; }";
            let error = context
                .scoped(|| Ok(Kernel::new(&context, "broken kernel", &[broken])))
                .await
                .unwrap_err();
            let EngineError::Device(message) = &error else { panic!("{error:?}") };
            // Browsers word it as they like.
            if cfg!(not(target_arch = "wasm32")) {
                assert!(message.contains("broken kernel"), "{message}");
            }
            assert!(context.scoped(|| Ok(())).await.is_ok());
        }
    }

    gpu_test! {
        async fn more_workgroups_than_the_device_takes_are_refused(context) {
            let empty = "@group(0) @binding(0) var<uniform> n: vec4<u32>;
                @compute @workgroup_size(1) fn main() { _ = n; }";
            let kernel = Kernel::new(&context, "empty", &[empty]);
            let error = kernel.dispatch(&context, [0u32; 4], &[], [1, 1 << 20, 1]).unwrap_err();
            assert!(error.to_string().contains("empty: 1048576 workgroups along axis 1"), "{error}");
            kernel.dispatch(&context, [0u32; 4], &[], [1, 1, 1]).unwrap();
        }
    }
}
