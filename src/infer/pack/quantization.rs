//! `quantization.json` of a model folder: the scales that quantization-aware training ended with.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::diag::{Code, Diagnostic};
use crate::infer::file::layout::Scale;

const FORMAT: &str = "obert.quantization";
const VERSION: u32 = 1;

/// The scales of a model's weights and activations.
#[derive(Clone, Debug, Deserialize)]
pub struct Quantization {
    format: String,
    version: u32,
    /// By the weight's Hugging Face name.
    #[serde(default)]
    pub weights: BTreeMap<String, WeightScales>,
    /// By the module's path and the operand, such as `….query.input`.
    #[serde(default)]
    pub activations: BTreeMap<String, ActivationScale>,
}

/// How a weight was rounded: `q = round(w / scale)`.
#[derive(Clone, Debug, Deserialize)]
pub struct WeightScales {
    /// Bits of `q`, at most 8.
    pub bits: u32,
    /// `symmetric`.
    pub scheme: Scheme,
    /// One scale, or one for each row.
    pub scales: Vec<f32>,
}

/// How an activation was rounded: `q = round(x / scale) + zero_point`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ActivationScale {
    /// Bits of `q`, at most 8.
    pub bits: u32,
    /// Around zero or not.
    pub scheme: Scheme,
    /// What one step stands for.
    pub scale: f32,
    /// What stands for zero.
    #[serde(default)]
    pub zero_point: i32,
}

/// Whether zero lies in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Signed, zero in the middle.
    Symmetric,
    /// Unsigned, with a zero point.
    Asymmetric,
}

impl Quantization {
    /// Scales that were not read from a file.
    pub fn new(
        weights: BTreeMap<String, WeightScales>,
        activations: BTreeMap<String, ActivationScale>,
    ) -> Self {
        Quantization { format: FORMAT.into(), version: VERSION, weights, activations }
    }

    /// Reads the file of a folder, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read or holds scales that make no sense.
    pub fn read(folder: &Path) -> Result<Option<Self>, Diagnostic> {
        let path = folder.join("quantization.json");
        if !path.exists() {
            return Ok(None);
        }
        let wrong = |why: String| unreadable(&path, &why);
        let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
        let read: Quantization = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        if (read.format.as_str(), read.version) != (FORMAT, VERSION) {
            return Err(wrong(format!("it is `{}` version {}", read.format, read.version)));
        }
        let sound = |scale: &f32| scale.is_normal() && *scale > 0.0;
        for (name, weight) in &read.weights {
            if !(2..=8).contains(&weight.bits) || !weight.scales.iter().all(sound) {
                return Err(wrong(format!("the scales of `{name}` make no sense")));
            }
            if weight.scheme != Scheme::Symmetric {
                return Err(Diagnostic::unlocated(
                    Code::PackedUnsupported,
                    format!("the weight `{name}` is rounded with a zero point"),
                )
                .help("a zero point makes pruned weights of a row anything but zero; quantize weights symmetrically"));
            }
        }
        for (name, a) in &read.activations {
            let asymmetric = a.scheme == Scheme::Asymmetric;
            let fits = (2..=8).contains(&a.bits)
                && sound(&a.scale)
                && (!asymmetric || (0..1 << a.bits).contains(&a.zero_point));
            if !fits {
                return Err(wrong(format!("the scale of `{name}` makes no sense")));
            }
        }
        Ok(Some(read))
    }
}

impl ActivationScale {
    /// As the left operand of a product: unsigned bytes.
    pub fn unsigned(&self) -> Scale {
        match self.scheme {
            Scheme::Asymmetric => {
                Scale { scale: self.scale, zero: self.zero_point, low: 0, high: (1 << self.bits) - 1 }
            }
            Scheme::Symmetric => {
                let most = (1 << (self.bits - 1)) - 1;
                Scale { scale: self.scale, zero: 128, low: 128 - most, high: 128 + most }
            }
        }
    }

    /// As the right operand: signed bytes.
    pub fn signed(&self) -> Scale {
        let Scale { scale, zero, low, high } = self.unsigned();
        Scale { scale, zero: zero - 128, low: low - 128, high: high - 128 }
    }
}

pub(super) fn unreadable(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::QuantizationNotReadable, format!("cannot use `{}`: {why}", path.display()))
        .help("it is written by `obertc run` for a recipe with `quantize`; take it from there, or remove it")
}
