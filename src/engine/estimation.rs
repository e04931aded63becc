//! Chooses the device on which Fisher matrices are estimated.

use burn::tensor::{Device, Tensor};

use crate::schedule::ir::{Obs, Precision};
use crate::task::model::kernels::is_on_cpu;

/// Where Fisher matrices are estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Estimates {
    /// On the device that computes the gradients: by this crate's CPU kernels if that is the CPU, otherwise with Burn's
    /// tensor operations.
    #[default]
    WithGradients,
    /// With Burn's tensor operations even if the device is the CPU, for tests.
    AsTensors,
}

impl Estimates {
    /// Whether the Fisher matrices of a statement are estimated as tensors on `device`. Estimates from fewer gradients
    /// than a block has weights (Woodbury form), with `correlated` saliencies, or from gradients stored in bfloat16 are
    /// always computed on the host.
    pub fn are_tensors(self, device: &Device, obs: &Obs) -> bool {
        let served = !obs.keeps_gradients() && !obs.correlated && obs.precision == Precision::F32;
        let elsewhere = self == Estimates::AsTensors || !is_on_cpu(&Tensor::zeros([1, 1], device));
        served && elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_tensors_where_gradients_are_unless_the_host_serves_them_better() {
        let obs = Obs { gradients: 64, block: 16, batch: 1, ..Obs::default() };
        let cpu = Device::flex();
        assert!(!Estimates::WithGradients.are_tensors(&cpu, &obs));
        assert!(Estimates::AsTensors.are_tensors(&cpu, &obs));
        for hosts in [
            Obs { gradients: 15, ..obs.clone() },
            Obs { correlated: true, ..obs.clone() },
            Obs { precision: Precision::Bf16, ..obs.clone() },
        ] {
            assert!(!Estimates::AsTensors.are_tensors(&cpu, &hosts), "{hosts:?}");
        }
    }
}
