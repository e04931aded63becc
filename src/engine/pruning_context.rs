//! What a pruning event is given besides its statement, model and masks.

use burn::tensor::Device;

use crate::ranks::Ranks;

use super::estimation::Estimates;
use super::movement::Movements;

/// The context of a pruning event.
pub struct Context<'a> {
    /// The stage, for messages.
    pub stage: &'a str,
    /// The step, for messages.
    pub step: u64,
    /// The device that trains, with autodiff.
    pub device: &'a Device,
    /// The same device without autodiff.
    pub plain: &'a Device,
    /// The device of estimates of Fisher matrices.
    pub estimates: Estimates,
    /// The seed of this event's batches.
    pub seed: u64,
    /// The movement scores of the stage.
    pub movements: &'a Movements,
    /// The ranks that compute the event together.
    pub ranks: &'a Ranks,
}
