//! Where the surgeon's estimates live, and how gradients reach them.

use burn::tensor::{Device, Tensor};

use crate::method::mask::Mask;
use crate::method::mask::select::Selection;
use crate::method::obs::device::{self, DeviceEstimate};
use crate::method::obs::{self, Estimate, ObsError, Removal, Roots, Scored, Settings, surgeon};
use crate::schedule::ir::{Obs, Precision};
use crate::task::model::kernels::is_on_cpu;
use crate::task::parameters::{flat_hugging_face, to_hugging_face};

use super::gradients::Sink;

/// Where estimates live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Estimates {
    /// With the gradients: on the host by its own kernels if the CPU trains, else on the device.
    #[default]
    WithGradients,
    /// As tensors of the device even if that is the CPU, to compare.
    AsTensors,
}

impl Estimates {
    /// Whether a statement's estimates are tensors of `device`. Fewer gradients than a block has
    /// weights, refreshed saliencies and gradients in sixteen bits are always the host's.
    pub fn are_tensors(self, device: &Device, obs: &Obs) -> bool {
        let served = !obs.keeps_gradients() && !obs.correlated && obs.precision == Precision::F32;
        let elsewhere = self == Estimates::AsTensors || !is_on_cpu(&Tensor::zeros([1, 1], device));
        served && elsewhere
    }
}

/// The estimate of one parameter.
pub enum Estimated {
    /// By the host's kernels.
    Host(Estimate),
    /// As tensors of a device.
    Device(Box<DeviceEstimate>),
}

impl Estimated {
    /// An estimate of a parameter of `count` weights, of which `rows` gradients wait at a time; on
    /// `device` if there is one.
    pub fn new(count: usize, obs: &Obs, rows: usize, device: Option<&Device>) -> Self {
        let precision = match obs.precision {
            Precision::F32 => obs::Precision::Single,
            Precision::Bf16 => obs::Precision::Half,
        };
        match device {
            Some(device) => Estimated::Device(Box::new(DeviceEstimate::new(count, obs.block, rows, device))),
            None => {
                Estimated::Host(Estimate::with_precision(count, obs.block, obs.gradients, rows, precision))
            }
        }
    }

    /// Takes in a gradient in the Hugging Face layout that is on the host.
    pub fn add(&mut self, gradient: &[f32]) {
        match self {
            Estimated::Host(estimate) => estimate.add(gradient),
            Estimated::Device(estimate) => {
                let device = estimate.device();
                estimate.add(Tensor::from_floats(gradient, &device));
            }
        }
    }

    /// Sums what waits: no gradient follows.
    pub fn finish(&mut self) {
        match self {
            Estimated::Host(estimate) => estimate.finish(),
            Estimated::Device(estimate) => estimate.finish(),
        }
    }

    /// Takes the square roots of blocks that lost too many digits.
    pub fn cure(&mut self, roots: Roots) {
        match self {
            Estimated::Host(estimate) => estimate.cure(roots),
            Estimated::Device(estimate) => estimate.cure(roots),
        }
    }

    /// Forgets all square roots: they belong to the gradients so far and to one damp.
    pub fn uncure(&mut self) {
        match self {
            Estimated::Host(estimate) => estimate.uncure(),
            Estimated::Device(estimate) => estimate.uncure(),
        }
    }

    /// The saliencies of the parameter's weights or groups.
    pub fn score(
        &mut self,
        weights: &[f32],
        mask: &Mask,
        selection: Selection,
        settings: &Settings,
    ) -> Result<Scored, ObsError> {
        match self {
            Estimated::Host(estimate) => surgeon::score(estimate, weights, mask, selection, settings),
            Estimated::Device(estimate) => device::score(estimate, weights, mask, settings),
        }
    }

    /// How the weights change when `pruned` are gone.
    pub fn removal(
        &self,
        weights: &[f32],
        mask: &Mask,
        pull: &[f32],
        pruned: Vec<bool>,
        settings: &Settings,
    ) -> Result<Removal, ObsError> {
        match self {
            Estimated::Host(estimate) => surgeon::removal(estimate, weights, mask, pull, pruned, settings),
            Estimated::Device(estimate) => device::removal(estimate, weights, mask, pull, pruned, settings),
        }
    }
}

/// Gradients of a parameter go to the estimate of its index; those for a device never leave it.
impl Sink for Vec<Estimated> {
    fn take<const D: usize>(&mut self, index: usize, gradient: Tensor<D>, transposed: bool) {
        match &mut self[index] {
            Estimated::Host(estimate) => estimate.add(&to_hugging_face(gradient, transposed)),
            Estimated::Device(estimate) => estimate.add(flat_hugging_face(gradient, transposed)),
        }
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
