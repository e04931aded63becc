//! Where it is computed.

use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;

use crate::diag::{Code, Diagnostic, nearest};
use crate::schedule::Schedule;
use crate::schedule::ir::{Precision, Train};
use crate::task::autocast;

/// The devices this binary was built for, by name.
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

/// The device of a name, without autodiff.
///
/// # Errors
/// A name that is unknown, was not built in, or means nothing that this machine has.
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
            true => Ok(Device::cuda(0)),
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

/// Whether a stage multiplies in bfloat16 on this device.
pub(super) fn casts(train: &Train, device: &Device) -> bool {
    train.precision == Precision::Bf16 && autocast::is_supported_on(device)
}

/// A note for a user whose stages are to multiply in bfloat16 on a device that does not.
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

/// Whether this machine has such a device. Opening one that is not there would panic.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn is_there(kind: DeviceType) -> bool {
    !Device::enumerate(kind).is_empty()
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn absent(name: &str, help: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::DeviceUnavailable, format!("this machine has no device for `{name}`"))
        .help(format!("{help}, or use `--device cpu`"))
}
