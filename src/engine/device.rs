//! The devices that models are computed on.

use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;

use crate::diag::{Code, Diagnostic, nearest};
use crate::schedule::Schedule;
use crate::schedule::ir::{Precision, Train};
use crate::task::autocast;

/// The names of the devices that this binary supports.
pub fn names() -> Vec<&'static str> {
    let mut names = vec!["cpu"];
    if cfg!(feature = "wgpu") {
        names.push("wgpu");
    }
    if cfg!(feature = "cuda") {
        names.push("cuda");
    }
    names
}

/// Opens a device by name, without autodiff.
///
/// # Errors
/// An unknown name, a device that this binary does not support, or one that this machine does not have.
pub fn open(name: &str) -> Result<Device, Diagnostic> {
    match name {
        "cpu" => Ok(Device::flex()),
        #[cfg(feature = "wgpu")]
        "wgpu" => match is_there(DeviceType::Wgpu) {
            true => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            false => Err(absent(name, "install a Vulkan driver; Mesa's software one will do for tests")),
        },
        #[cfg(feature = "cuda")]
        "cuda" => match is_there(DeviceType::Cuda) {
            // The ranks of a host take its GPUs in turn.
            true => {
                let gpus = Device::enumerate(DeviceType::Cuda).len().max(1);
                Ok(Device::cuda(crate::ranks::local_rank() % gpus))
            }
            false => Err(absent(name, "install NVIDIA's driver")),
        },
        #[cfg(not(feature = "wgpu"))]
        "wgpu" => Err(not_built(name)),
        #[cfg(not(feature = "cuda"))]
        "cuda" => Err(not_built(name)),
        other => {
            let help = match nearest(other, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the devices are {}", names().join(", ")),
            };
            Err(Diagnostic::unlocated(Code::DeviceUnavailable, format!("there is no device `{other}`"))
                .help(help))
        }
    }
}

/// The name of a device, as [`open`] takes it.
pub(super) fn name_of(device: &Device) -> String {
    // `Flex(Cpu)`, `Wgpu(…)` or `Cuda(…)`.
    let described = format!("{:?}", device.as_dispatch());
    match described.split('(').next().unwrap_or_default() {
        "Flex" => "cpu".to_owned(),
        other => other.to_lowercase(),
    }
}

/// Whether a stage multiplies in bfloat16 on this device.
pub(super) fn casts(train: &Train, device: &Device) -> bool {
    train.precision == Precision::Bf16 && autocast::is_supported_on(device)
}

/// A note if a stage has `precision: bf16` on a device that does not multiply in bfloat16.
pub fn full_precision(schedule: &Schedule, device: &Device) -> Option<String> {
    let stage =
        schedule.stages.iter().find(|s| s.train.precision == Precision::Bf16 && !casts(&s.train, device))?;
    Some(format!("`{}` has `precision: bf16`; on this device it trains in 32 bits", stage.name))
}

#[cfg(not(all(feature = "wgpu", feature = "cuda")))]
fn not_built(name: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::DeviceUnavailable, format!("this obertc was built without `{name}`"))
        .help(format!("build it with `cargo build --features {name}`, or use `--device cpu`"))
}

/// Whether this machine has such a device; opening a missing one panics.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn is_there(kind: DeviceType) -> bool {
    !Device::enumerate(kind).is_empty()
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn absent(name: &str, help: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::DeviceUnavailable, format!("this machine has no device for `{name}`"))
        .help(format!("{help}, or use `--device cpu`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_the_name_by_which_it_is_opened() {
        for name in names() {
            if let Ok(device) = open(name) {
                assert_eq!(name_of(&device), name);
            }
        }
        assert_eq!(name_of(&open("cpu").unwrap()), "cpu");
    }
}
