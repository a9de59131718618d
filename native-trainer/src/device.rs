//! The devices that training runs on, looked for before anything starts:
//! once a missing driver is noticed by burn itself, it is a panic in a thread
//! of its own.

use anyhow::{Result, bail, ensure};
use hrm_core::cpu::native_bf16;
use hrm_core::model::{Device as Burn, dtype};
use hrm_core::train::Precision;

use crate::engine::Device;

/// The devices that a run uses.
pub(crate) struct Devices {
    /// The one that holds the weights.
    pub(crate) first: Burn,
    /// Those that only compute.
    pub(crate) others: Vec<Burn>,
    /// What they are, in words.
    pub(crate) name: String,
    /// Whether they are processors, whose cores the trainer shares out itself.
    pub(crate) cpu: bool,
}

impl Devices {
    /// `count` devices of a kind that compute in `precision`.
    ///
    /// # Errors
    /// In one sentence: a missing driver, too few devices, a build without
    /// support for the kind, or a device without the precision.
    pub(crate) fn find(kind: Device, count: usize, precision: Precision) -> Result<Self> {
        ensure!(count > 0, "--devices is 0, must be at least 1");
        let (name, cpu, found) = match kind {
            Device::Cpu => ("CPU", true, vec![Burn::flex(); count]),
            Device::CpuInt8 => bail!("--device cpu-int8 runs models; training takes `cpu`"),
            Device::Cuda => ("CUDA", false, cuda()?),
            Device::Wgpu => {
                let (real, software) = wgpu()?;
                let found = if real.is_empty() { software } else { real };
                ("wgpu", false, found)
            }
            Device::Auto => match (cuda(), wgpu()) {
                (Ok(found), _) => ("CUDA", false, found),
                (_, Ok((real, _))) if !real.is_empty() => ("wgpu", false, real),
                // The CPU backend outruns a software adapter.
                _ => ("CPU", true, vec![Burn::flex(); count]),
            },
        };
        ensure!(
            count <= found.len(),
            "--devices {count}: this machine shows {} to {name}",
            found.len()
        );
        let mut found = found.into_iter().take(count);
        let Some(first) = found.next() else {
            bail!("no {name} device");
        };
        ensure!(
            first.supports_dtype(dtype(precision)),
            "--precision bf16: the {name} device does not compute in bf16, use f32"
        );
        let emulated = if cpu && precision == Precision::Bf16 && !native_bf16() {
            ", without bf16 arithmetic of its own: f32 is faster"
        } else {
            ""
        };
        Ok(Self {
            first,
            others: found.collect(),
            name: format!("{name} x {count}{emulated}"),
            cpu,
        })
    }
}

/// Names of the CUDA driver's library.
const CUDA_LIBRARIES: &[&str] = if cfg!(windows) {
    &["nvcuda.dll"]
} else {
    &["libcuda.so.1", "libcuda.so"]
};

/// Asks the CUDA driver for the number of its devices.
fn cuda_devices() -> Result<usize> {
    type Init = unsafe extern "C" fn(u32) -> i32;
    type Count = unsafe extern "C" fn(*mut i32) -> i32;
    // SAFETY: loading the driver's library runs its initialisers, which it
    // is made for; the two functions have had these signatures since CUDA 2,
    // and the count outlives the call that writes it.
    unsafe {
        let Some(driver) = CUDA_LIBRARIES
            .iter()
            .find_map(|name| libloading::Library::new(name).ok())
        else {
            bail!(
                "no CUDA device: the NVIDIA driver's library {} is not on this machine",
                CUDA_LIBRARIES[0]
            );
        };
        let init = driver.get::<Init>(b"cuInit\0")?;
        let status = init(0);
        ensure!(
            status == 0,
            "no CUDA device: the NVIDIA driver does not start (cuInit: error {status})"
        );
        let mut count = 0;
        let status = driver.get::<Count>(b"cuDeviceGetCount\0")?(&raw mut count);
        ensure!(
            status == 0 && count > 0,
            "no CUDA device: the NVIDIA driver shows none (error {status})"
        );
        Ok(count as usize)
    }
}

/// The CUDA devices, at least one.
fn cuda() -> Result<Vec<Burn>> {
    let count = cuda_devices()?;
    #[cfg(feature = "cuda")]
    {
        Ok((0..count).map(Burn::cuda).collect())
    }
    #[cfg(not(feature = "cuda"))]
    bail!(
        "this `hrm` was built without CUDA for its {count} device(s): \
         `cargo build --release -p hrm-trainer --features cuda`"
    );
}

/// The adapters that wgpu finds, real ones and software: at least one.
fn wgpu() -> Result<(Vec<Burn>, Vec<Burn>)> {
    #[cfg(feature = "wgpu")]
    {
        use hrm_core::model::{DeviceKind, DeviceType};
        let all: Vec<Burn> = Burn::enumerate(DeviceType::Wgpu).into_iter().collect();
        let mut real = Vec::new();
        for kind in [
            DeviceKind::DiscreteGpu,
            DeviceKind::IntegratedGpu,
            DeviceKind::VirtualGpu,
        ] {
            let of_kind = (0..all.len()).map(|i| Burn::wgpu(kind(i)));
            real.extend(of_kind.filter(|device| all.contains(device)));
        }
        let software = Burn::wgpu(DeviceKind::Cpu);
        let software = Vec::from_iter(all.contains(&software).then_some(software));
        ensure!(
            !(real.is_empty() && software.is_empty()),
            "no GPU adapter: no driver for Vulkan, Metal or Direct3D is on this machine"
        );
        Ok((real, software))
    }
    #[cfg(not(feature = "wgpu"))]
    bail!(
        "this `hrm` was built without wgpu for training: \
         `cargo build --release -p hrm-trainer --features wgpu`"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_can_stand_for_several_devices() {
        let devices = Devices::find(Device::Cpu, 3, Precision::Bf16).unwrap();
        assert_eq!((devices.others.len(), devices.cpu), (2, true));
        let error = Devices::find(Device::Cpu, 0, Precision::F32).err().unwrap();
        assert!(error.to_string().contains("--devices"), "{error}");
    }
}
