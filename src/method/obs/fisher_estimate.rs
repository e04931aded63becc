//! The Fisher matrix of one parameter, estimated by the CPU kernels or with tensors of a device.

use burn::tensor::{Device, Tensor};

use crate::method::mask::Mask;
use crate::method::mask::select::Selection;

use super::device::{self, DeviceEstimate};
use super::host;
use super::host_estimate::{HostEstimate, Precision};
use super::qr::QrFactors;
use super::score::Scored;
use super::settings::{ObsError, PruningUpdate, Settings};

/// The gradient of one parameter `[count]`, flattened from the Hugging Face layout.
// Only one exists at a time.
#[allow(clippy::large_enum_variant)]
pub enum Gradient {
    /// On the host.
    Values(Vec<f32>),
    /// On a device, `[count]`.
    Tensor(Tensor<1>),
}

/// Where [`GradientSource`](super::GradientSource) is to put gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the host: [`Gradient::Values`].
    Host,
    /// On the device that computed them: [`Gradient::Tensor`].
    Device,
}

/// The estimated Fisher matrix of one parameter.
pub enum FisherEstimate {
    /// By CPU kernels.
    Host(HostEstimate),
    /// With tensors of a device.
    Device(Box<DeviceEstimate>),
    /// On another rank: it takes no gradients and has no saliencies here.
    Remote,
}

impl FisherEstimate {
    /// An estimate on the CPU for a parameter of `count` weights in blocks of `block`, from `gradients` gradients
    /// that are summed `rows` at a time.
    pub fn on_host(count: usize, block: usize, gradients: usize, rows: usize, precision: Precision) -> Self {
        FisherEstimate::Host(HostEstimate::with_precision(count, block, gradients, rows, precision))
    }

    /// An estimate with float32 tensors of `device`.
    pub fn on_device(count: usize, block: usize, rows: usize, device: &Device) -> Self {
        FisherEstimate::Device(Box::new(DeviceEstimate::new(count, block, rows, device)))
    }

    /// Adds a gradient.
    pub fn add(&mut self, gradient: Gradient) {
        match (self, gradient) {
            (FisherEstimate::Remote, _) => {}
            (FisherEstimate::Device(estimate), Gradient::Tensor(tensor)) => estimate.add(tensor),
            (estimate, gradient) => estimate.add_values(&gradient.into_values()),
        }
    }

    /// Adds a gradient `[count]` from host memory.
    pub fn add_values(&mut self, values: &[f32]) {
        match self {
            FisherEstimate::Host(estimate) => estimate.add(values),
            FisherEstimate::Device(estimate) => {
                let device = estimate.device();
                estimate.add(Tensor::from_floats(values, &device));
            }
            FisherEstimate::Remote => {}
        }
    }

    /// Whether another rank has it.
    pub fn is_remote(&self) -> bool {
        matches!(self, FisherEstimate::Remote)
    }

    /// Sums the buffered gradients, after the last one.
    pub fn finish(&mut self) {
        match self {
            FisherEstimate::Host(estimate) => estimate.finish(),
            FisherEstimate::Device(estimate) => estimate.finish(),
            FisherEstimate::Remote => {}
        }
    }

    /// Sets the QR factors of the gradients of ill-conditioned blocks.
    pub fn set_factors(&mut self, factors: QrFactors) {
        match self {
            FisherEstimate::Host(estimate) => estimate.set_factors(factors),
            FisherEstimate::Device(estimate) => estimate.set_factors(factors),
            FisherEstimate::Remote => {}
        }
    }

    /// Removes those factors. The factors are valid for the gradients so far; the list of ill-conditioned blocks is
    /// valid for one dampening.
    pub fn clear_factors(&mut self) {
        match self {
            FisherEstimate::Host(estimate) => estimate.clear_factors(),
            FisherEstimate::Device(estimate) => estimate.clear_factors(),
            FisherEstimate::Remote => {}
        }
    }

    /// Computes the saliencies of the parameter's weights or groups.
    ///
    /// # Errors
    /// Gradients that are not finite or all zero; a block that cannot be factored.
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
            FisherEstimate::Remote => Ok(Scored::default()),
        }
    }

    /// Computes the update of the remaining weights when the weights marked in `pruned` are set to zero. `multipliers`
    /// are those of [`Scored`].
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
            FisherEstimate::Remote => Ok(PruningUpdate { pruned, delta: Vec::new() }),
        }
    }
}

impl Gradient {
    /// Its values in host memory.
    pub fn into_values(self) -> Vec<f32> {
        match self {
            Gradient::Values(values) => values,
            // invariant: gradients are floats that convert to f32.
            Gradient::Tensor(tensor) => tensor.into_data().convert::<f32>().try_to_vec().expect("f32 values"),
        }
    }
}
