//! From the device to memory, without blocking in the browser.

use futures_channel::oneshot;
use hrm_core::engine::EngineError;

use crate::context::GpuContext;
use crate::kernel::Array;

/// A staging buffer that is filled by a command encoder and read once.
///
/// A fresh one each time: one whose reading was abandoned halfway would stay
/// mapped.
#[derive(Debug)]
pub(crate) struct Readback {
    buffer: wgpu::Buffer,
    words: usize,
}

impl Readback {
    /// Records the copy of whole arrays, one after the other.
    pub(crate) fn record(
        context: &GpuContext,
        encoder: &mut wgpu::CommandEncoder,
        arrays: &[&Array],
    ) -> Self {
        let words = arrays.iter().map(|a| a.len()).sum();
        let buffer = context.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("readback"),
            size: 4 * words as u64,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut offset = 0;
        for array in arrays {
            let bytes = 4 * array.len() as u64;
            encoder.copy_buffer_to_buffer(array.buffer(), 0, &buffer, offset, bytes);
            offset += bytes;
        }
        Self { buffer, words }
    }

    /// Records the copy of a texture of four bytes a pixel; also returns the
    /// words from the beginning of a row to that of the next.
    pub(crate) fn record_texture(
        context: &GpuContext,
        encoder: &mut wgpu::CommandEncoder,
        texture: &wgpu::Texture,
    ) -> (Self, usize) {
        let (width, height) = (texture.width(), texture.height());
        let row = (4 * width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let size = u64::from(row) * u64::from(height);
        let buffer = context.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("readback"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        encoder.copy_texture_to_buffer(
            texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &buffer,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(row),
                    rows_per_image: None,
                },
            },
            texture.size(),
        );
        let words = size as usize / 4;
        (Self { buffer, words }, row as usize / 4)
    }

    /// The words, once everything submitted before has run.
    pub(crate) async fn read(self, context: &GpuContext) -> Result<Vec<u32>, EngineError> {
        let (sender, receiver) = oneshot::channel();
        self.buffer
            .map_async(wgpu::MapMode::Read, .., move |result| {
                // Nobody listens any more if the reader was dropped.
                drop(sender.send(result));
            });
        #[cfg(not(target_arch = "wasm32"))]
        if let Err(error) = context.device().poll(wgpu::PollType::wait_indefinitely()) {
            context.check().await?;
            return Err(EngineError::Device(error.to_string()));
        }
        let mapped = receiver.await;
        // The work may have "finished" because the device is gone.
        context.check().await?;
        match mapped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(EngineError::Device(format!("reading back: {error}"))),
            Err(_) => return Err(EngineError::Lost("the device dropped a request".to_owned())),
        }
        let view = self
            .buffer
            .get_mapped_range(..)
            .map_err(|error| EngineError::Device(format!("reading back: {error}")))?;
        let words: Vec<u32> = view
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        debug_assert_eq!(words.len(), self.words);
        drop(view);
        self.buffer.unmap();
        Ok(words)
    }
}
