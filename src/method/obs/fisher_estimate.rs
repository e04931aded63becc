//! The estimate of one parameter's Fisher matrix, by the host's kernels or as tensors of a device.

use burn::tensor::{Device, Tensor};

use crate::method::mask::Mask;
use crate::method::mask::select::Selection;

use super::device::{self, DeviceEstimate};
use super::host;
use super::host_estimate::{HostEstimate, Precision};
use super::qr::QrFactors;
use super::score::Scored;
use super::settings::{ObsError, PruningUpdate, Settings};

/// A gradient of one parameter in the Hugging Face layout, flattened.
// One exists at a time, and is handed on at once.
#[allow(clippy::large_enum_variant)]
pub enum Gradient {
    /// On the host.
    Values(Vec<f32>),
    /// On a device, `[count]`.
    Tensor(Tensor<1>),
}

/// Where gradients are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the host: [`Gradient::Values`].
    Host,
    /// On the device that computed them: [`Gradient::Tensor`].
    Device,
}

/// The estimate of one parameter's Fisher matrix.
pub enum FisherEstimate {
    /// By the host's kernels.
    Host(HostEstimate),
    /// As tensors of a device.
    Device(Box<DeviceEstimate>),
}

impl FisherEstimate {
    /// An estimate on the host of a parameter of `count` weights, from `gradients` gradients that are summed
    /// `rows` at a time.
    pub fn on_host(count: usize, block: usize, gradients: usize, rows: usize, precision: Precision) -> Self {
        FisherEstimate::Host(HostEstimate::with_precision(count, block, gradients, rows, precision))
    }

    /// An estimate as tensors of `device`, in float32.
    pub fn on_device(count: usize, block: usize, rows: usize, device: &Device) -> Self {
        FisherEstimate::Device(Box::new(DeviceEstimate::new(count, block, rows, device)))
    }

    /// Takes in a gradient.
    pub fn add(&mut self, gradient: Gradient) {
        match (self, gradient) {
            (FisherEstimate::Device(estimate), Gradient::Tensor(tensor)) => estimate.add(tensor),
            (estimate, gradient) => estimate.add_values(&gradient.into_values()),
        }
    }

    /// Takes in a gradient that is on the host.
    pub fn add_values(&mut self, values: &[f32]) {
        match self {
            FisherEstimate::Host(estimate) => estimate.add(values),
            FisherEstimate::Device(estimate) => {
                let device = estimate.device();
                estimate.add(Tensor::from_floats(values, &device));
            }
        }
    }

    /// Sums the gradients that wait: none follows.
    pub fn finish(&mut self) {
        match self {
            FisherEstimate::Host(estimate) => estimate.finish(),
            FisherEstimate::Device(estimate) => estimate.finish(),
        }
    }

    /// Takes the QR factors of the gradients of ill-conditioned blocks.
    pub fn set_factors(&mut self, factors: QrFactors) {
        match self {
            FisherEstimate::Host(estimate) => estimate.set_factors(factors),
            FisherEstimate::Device(estimate) => estimate.set_factors(factors),
        }
    }

    /// Forgets those factors: they belong to the gradients so far and to one dampening.
    pub fn clear_factors(&mut self) {
        match self {
            FisherEstimate::Host(estimate) => estimate.clear_factors(),
            FisherEstimate::Device(estimate) => estimate.clear_factors(),
        }
    }

    /// The saliencies of the parameter's weights or groups.
    ///
    /// # Errors
    /// Gradients that are not finite or all zero, and a block that cannot be factored.
    pub fn score(
        &mut self,
        weights: &[f32],
        mask: &Mask,
        selection: Selection,
        settings: &Settings,
    ) -> Result<Scored, ObsError> {
        match self {
            FisherEstimate::Host(estimate) => host::score(estimate, weights, mask, selection, settings),
            FisherEstimate::Device(estimate) => device::score(estimate, weights, mask, settings),
        }
    }

    /// The pruning update of the weights when `pruned` are removed.
    ///
    /// # Errors
    /// A block that cannot be factored.
    pub fn update(
        &self,
        weights: &[f32],
        mask: &Mask,
        multipliers: &[f32],
        pruned: Vec<bool>,
        settings: &Settings,
    ) -> Result<PruningUpdate, ObsError> {
        match self {
            FisherEstimate::Host(estimate) => {
                host::update(estimate, weights, mask, multipliers, pruned, settings)
            }
            FisherEstimate::Device(estimate) => {
                device::update(estimate, weights, mask, multipliers, pruned, settings)
            }
        }
    }
}

impl Gradient {
    /// Its values on the host.
    pub fn into_values(self) -> Vec<f32> {
        match self {
            Gradient::Values(values) => values,
            // invariant: gradients are floats that convert to f32.
            Gradient::Tensor(tensor) => tensor.into_data().convert::<f32>().try_to_vec().expect("f32 values"),
        }
    }
}
