//! A GPU device and what is known of its health.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hrm_core::engine::EngineError;

use crate::kernels::Compiled;

/// Which form of a kernel to dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Tiles in workgroup memory: for real GPUs.
    Tiled,
    /// The same with tiles of 16-bit floats where weights are 16-bit floats or
    /// less, for GPUs that have them (`shader-f16`): activations are rounded
    /// to 11 bits, and to 4,000 where they are larger.
    Half,
    /// The same, with products of 8- and 4-bit weights in 8-bit integers:
    /// activations are rounded to 8 bits in groups of 32, so that results
    /// differ by about as much as quantized weights make them. For GPUs that
    /// multiply four bytes in an instruction (`dot4I8Packed`).
    Packed,
    /// Everything in registers, neither barriers nor workgroup memory: an
    /// order of magnitude faster where a CPU plays GPU (lavapipe,
    /// SwiftShader, WARP).
    Direct,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Tiled => "tiled",
            Self::Half => "half",
            Self::Packed => "packed",
        })
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::Direct, Self::Tiled, Self::Half, Self::Packed];
        all.into_iter()
            .find(|variant| variant.to_string() == name)
            .ok_or_else(|| {
                let known = all.map(|variant| variant.to_string()).join(", ");
                format!("no form of the kernels is called `{name}`, only {known}")
            })
    }
}

impl Variant {
    /// What results are computed in where that is less than f32, to be told
    /// beside the adapter's name.
    #[must_use]
    pub fn precision(self) -> Option<&'static str> {
        match self {
            Self::Direct | Self::Tiled => None,
            Self::Half => Some("16-bit products"),
            Self::Packed => Some("8-bit products"),
        }
    }
}

/// What device to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GpuOptions {
    /// Only accept a software adapter. Browsers choose by themselves.
    pub software: bool,
    /// Prefer the adapter that saves power over the fastest.
    pub low_power: bool,
    /// The kernels' form; by the adapter's type if not given.
    pub variant: Option<Variant>,
    /// Bytes that one array may have, if less than the device allows: larger
    /// batches are run in more parts.
    pub max_array_bytes: Option<u64>,
}

/// What the callbacks of a device have reported.
#[derive(Debug, Default)]
struct Health {
    lost: Option<String>,
    error: Option<EngineError>,
}

/// An adapter and a device on it. Clones are the same device.
#[derive(Debug, Clone)]
pub struct GpuContext {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    variant: Variant,
    variants: Vec<Variant>,
    max_array_bytes: u64,
    allocated: Arc<AtomicU64>,
    health: Arc<Mutex<Health>>,
    compiled: Arc<Compiled>,
}

impl GpuContext {
    /// Opens the adapter that fits `options` best.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if there is none, or it gives no device.
    pub async fn new(options: GpuOptions) -> Result<Self, EngineError> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::PRIMARY;
        let instance = wgpu::Instance::new(descriptor);
        let power_preference = if options.low_power {
            wgpu::PowerPreference::LowPower
        } else {
            wgpu::PowerPreference::HighPerformance
        };
        let adapter = instance
            .request_adapter(&wgpu::RequestAdapterOptions {
                power_preference,
                force_fallback_adapter: options.software,
                ..Default::default()
            })
            .await
            .map_err(|e| EngineError::Unavailable(format!("no GPU adapter: {e}")))?;
        let info = adapter.get_info();

        // WebGPU's default limits run every model here; larger bindings only
        // allow larger batches.
        let offered = adapter.limits();
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            max_buffer_size: offered.max_buffer_size,
            ..wgpu::Limits::default()
        };
        let half = adapter.features() & wgpu::Features::SHADER_F16;
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("hrm"),
                required_features: half,
                required_limits: limits,
                ..Default::default()
            })
            .await
            .map_err(|e| EngineError::Unavailable(format!("{}: {e}", info.name)))?;

        let health = Arc::new(Mutex::new(Health::default()));
        let lost = Arc::clone(&health);
        device.set_device_lost_callback(move |reason, message| {
            let message = if message.is_empty() {
                format!("{reason:?}")
            } else {
                message
            };
            lock(&lost).lost.get_or_insert(message);
        });
        let errors = Arc::clone(&health);
        device.on_uncaptured_error(Arc::new(move |error| {
            lock(&errors)
                .error
                .get_or_insert_with(|| engine_error(&error));
        }));

        let software = info.device_type == wgpu::DeviceType::Cpu;
        let variant = options.variant.unwrap_or(if software {
            Variant::Direct
        } else {
            Variant::Tiled
        });
        let packed = instance
            .wgsl_language_features()
            .contains(wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct);
        let mut variants = vec![Variant::Direct, Variant::Tiled];
        variants.extend((!half.is_empty()).then_some(Variant::Half));
        variants.extend(packed.then_some(Variant::Packed));
        if !variants.contains(&variant) {
            return Err(EngineError::Unavailable(format!(
                "{}: no {variant} kernels here, only {}",
                info.name,
                variants
                    .iter()
                    .map(Variant::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        }
        let limits = device.limits();
        let max_array_bytes = limits
            .max_buffer_size
            .min(limits.max_storage_buffer_binding_size)
            .min(options.max_array_bytes.unwrap_or(u64::MAX));
        Ok(Self {
            device,
            queue,
            info,
            variant,
            variants,
            max_array_bytes,
            allocated: Arc::default(),
            health,
            compiled: Arc::default(),
        })
    }

    /// The adapter's name; browsers may give little of it.
    #[must_use]
    pub fn adapter_name(&self) -> &str {
        match (self.info.name.as_str(), self.info.driver.as_str()) {
            ("", "") => "unnamed adapter",
            ("", driver) => driver,
            (name, _) => name,
        }
    }

    /// The API behind it: `Vulkan`, `Metal`, `Dx12` or `BrowserWebGpu`.
    #[must_use]
    pub fn backend(&self) -> String {
        format!("{:?}", self.info.backend)
    }

    /// Whether a CPU plays GPU; then the CPU engine is faster.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// The form of the kernels on this device.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The forms that this device can run.
    #[must_use]
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// The same device with another form of the kernels.
    #[must_use]
    pub fn with_variant(&self, variant: Variant) -> Self {
        Self {
            variant,
            ..self.clone()
        }
    }

    pub(crate) fn info(&self) -> &wgpu::AdapterInfo {
        &self.info
    }

    /// The device's limits.
    #[must_use]
    pub fn limits(&self) -> wgpu::Limits {
        self.device.limits()
    }

    /// Why the device was lost, if it was. A new context works.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        lock(&self.health).lost.clone()
    }

    /// Gives the device up; what still uses it fails with
    /// [`EngineError::Lost`].
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// Counts the bytes of a new array.
    pub(crate) fn count_bytes(&self, bytes: u64) {
        self.allocated.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of all arrays made so far, those no longer there included.
    pub(crate) fn counted_bytes(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// The most that one array may have.
    pub(crate) fn max_array_bytes(&self) -> u64 {
        self.max_array_bytes
    }

    pub(crate) fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The kernels compiled so far, shared by all models on the device.
    pub(crate) fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    pub(crate) fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Fails if the device is lost or has reported an error since the last
    /// check. An error that came with the loss is the loss; browsers may tell
    /// of it before they tell of the loss (Firefox does), so it is waited for.
    pub(crate) async fn check(&self) -> Result<(), EngineError> {
        let Err(error) = self.told() else {
            return Ok(());
        };
        #[cfg(target_arch = "wasm32")]
        self.wait_for_loss().await;
        Err(self.lost().map_or(error, EngineError::Lost))
    }

    /// Waits until the device has said that it is lost, or long enough.
    #[cfg(target_arch = "wasm32")]
    async fn wait_for_loss(&self) {
        /// Questions to the device and answers: in Firefox 4 were enough.
        const ROUNDS: usize = 8;
        for _ in 0..ROUNDS {
            if self.lost().is_some() {
                return;
            }
            let (sender, receiver) = futures_channel::oneshot::channel();
            self.queue
                .on_submitted_work_done(move || sender.send(()).unwrap_or_default());
            receiver.await.unwrap_or_default();
        }
    }

    /// What the device has told since this was asked last.
    fn told(&self) -> Result<(), EngineError> {
        let mut health = lock(&self.health);
        if let Some(reason) = &health.lost {
            return Err(EngineError::Lost(reason.clone()));
        }
        health.error.take().map_or(Ok(()), Err)
    }

    /// Runs `make` and reports what it did wrong on the device: invalid
    /// shaders, exceeded limits, exhausted memory.
    pub(crate) async fn scoped<T>(
        &self,
        make: impl FnOnce() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.check().await?;
        let (made, popped) = {
            let filters = [
                wgpu::ErrorFilter::Internal,
                wgpu::ErrorFilter::Validation,
                wgpu::ErrorFilter::OutOfMemory,
            ];
            let guards = filters.map(|filter| self.device.push_error_scope(filter));
            let made = make();
            let [internal, validation, memory] = guards;
            (
                made,
                [memory.pop(), validation.pop(), internal.pop()].map(Box::pin),
            )
        };
        let mut failure = None;
        for future in popped {
            if let Some(error) = future.await {
                failure.get_or_insert_with(|| engine_error(&error));
            }
        }
        self.check().await?;
        match failure {
            Some(error) => Err(error),
            None => made,
        }
    }
}

/// A device callback that panicked elsewhere leaves readable values behind.
fn lock(health: &Mutex<Health>) -> MutexGuard<'_, Health> {
    health.lock().unwrap_or_else(PoisonError::into_inner)
}

fn engine_error(error: &wgpu::Error) -> EngineError {
    match error {
        wgpu::Error::OutOfMemory { source } => EngineError::OutOfMemory(source.to_string()),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            EngineError::Device(description.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gpu_test;

    gpu_test! {
        /// Nobody listens to this error when it happens; the next use of the
        /// device reports it.
        async fn errors_outside_of_scopes_are_not_lost(context) {
            assert_eq!(context.check().await, Ok(()));
            let _refused = context.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("too large"),
                size: context.limits().max_buffer_size + 4,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            });
            // Browsers report it a few turns of the event loop later.
            let mut found = Ok(());
            for _ in 0..100 {
                found = context.scoped(|| Ok(())).await;
                if found.is_err() {
                    break;
                }
            }
            // What exceeds the limits is invalid; to Firefox the memory is
            // exhausted by it.
            assert!(matches!(found, Err(EngineError::Device(_) | EngineError::OutOfMemory(_))), "{found:?}");
            assert_eq!(context.check().await, Ok(()));
            assert_eq!(context.lost(), None);
        }
    }
}
