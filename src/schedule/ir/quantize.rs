//! Quantization: which layers, over which time, in which integers.

use serde::{Deserialize, Serialize};

use super::targets::Targets;
use crate::schedule::Time;

/// A `quantize` statement: fake quantization of layers' weights and inputs. It is quantization-aware
/// training while the stage trains, post-training quantization in a stage of no length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantize {
    /// The weights to quantize; the inputs of their layers are quantized with them.
    pub targets: Targets,
    /// When fake quantization is inserted.
    pub start: Time,
    /// When the observers stop at the latest; fake quantization stays.
    pub end: Time,
    /// How weights are quantized.
    pub weights: Scheme,
    /// How the layers' inputs are quantized; they stay in floating point if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activations: Option<Scheme>,
    /// When the observers are frozen, if before `end`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Time>,
    /// Calibration: batches of training data that the observers see at `start`.
    pub calibrate: usize,
    /// Whether the operands of `QKᵀ` and of probabilities × V are quantized too.
    pub attention: bool,
}

/// The integers that values are quantized to, and what shares a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheme {
    /// Bits of an integer.
    pub bits: u8,
    /// Whether the integers are signed.
    pub signed: bool,
    /// Whether the range is symmetric around zero.
    pub symmetric: bool,
    /// Whether each output has its own scale; one scale for the tensor otherwise.
    pub per_channel: bool,
}

impl Scheme {
    /// The type's name, such as `int8`.
    pub fn name(self) -> String {
        format!("{}int{}", if self.signed { "" } else { "u" }, self.bits)
    }
}

/// As written in a recipe.
impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let zero = if self.symmetric { "symmetric" } else { "asymmetric" };
        let per = if self.per_channel { "channel" } else { "tensor" };
        write!(f, "{}({zero}, per: {per})", self.name())
    }
}
