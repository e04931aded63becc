//! Where it is computed.

use burn::tensor::Device;

use crate::diag::{Code, Diagnostic, nearest};

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
/// A name that is unknown or was not built in.
pub fn open(name: &str) -> Result<Device, Diagnostic> {
    match name {
        "cpu" => Ok(Device::flex()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        "wgpu" | "cuda" => Err(Diagnostic::unlocated(
            Code::DeviceUnavailable,
            format!("this obertc was built without `{name}`"),
        )
        .help(format!("build it with `cargo build --features {name}`, or use `--device cpu`"))),
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
