//! `quantization.json` of a model folder: the scales of a model whose layers are rounded to few bits.
//!
//! Whoever trains writes it, whoever packs or measures reads it. A weight is `q = clamp(round(w / s), −2ᵇ⁻¹,
//! 2ᵇ⁻¹ − 1)`, an activation `q = clamp(round(x / s) + z, 0, 2ᵇ − 1)`; rounding is to even.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diag::{Code, Diagnostic};

/// Its name in a model folder.
pub const FILE: &str = "quantization.json";

const FORMAT: &str = "obert.quantization";
const VERSION: u32 = 1;

/// The scales of a model's weights and activations.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Quantization {
    format: String,
    version: u32,
    /// By the weight's Hugging Face name.
    #[serde(default)]
    pub weights: BTreeMap<String, WeightScales>,
    /// By the module's path and the operand: `….query.input` for what a linear layer reads, and
    /// `….attention.self.{query_states, key_states, probabilities, value_states}` for the products of attention.
    #[serde(default)]
    pub activations: BTreeMap<String, ActivationScale>,
}

/// How a weight was rounded: `q = round(w / scale)`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WeightScales {
    /// Bits of `q`, at most 8.
    pub bits: u32,
    /// `symmetric`.
    pub scheme: Scheme,
    /// One scale, or one for each row.
    pub scales: Vec<f32>,
}

/// How an activation was rounded: `q = round(x / scale) + zero_point`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct ActivationScale {
    /// Bits of `q`, at most 8.
    pub bits: u32,
    /// Around zero or not.
    pub scheme: Scheme,
    /// What one step stands for.
    pub scale: f32,
    /// What stands for zero; 0 for a symmetric scheme, whose `q` are signed.
    #[serde(default)]
    pub zero_point: i32,
}

/// Whether zero lies in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
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

    /// As the file holds it.
    pub fn to_json(&self) -> String {
        // invariant: names and numbers alone.
        let text = serde_json::to_string_pretty(self).expect("scales as JSON");
        format!("{text}\n")
    }

    /// Reads the file of a folder, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read or holds scales that make no sense.
    pub fn read(folder: &Path) -> Result<Option<Self>, Diagnostic> {
        let path = folder.join(FILE);
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

/// Refuses the file for a reason.
pub fn unreadable(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::QuantizationNotReadable, format!("cannot use `{}`: {why}", path.display()))
        .help("it is written by `obertc run` for a recipe with `quantize`; take it from there, or remove it")
}
