//! `quantization.json` of a model folder: the scales and zero points of a quantized model.
//!
//! Weights are quantized by `q = clamp(round(w / s), −2ᵇ⁻¹, 2ᵇ⁻¹ − 1)`, asymmetric activations by
//! `q = clamp(round(x / s) + z, 0, 2ᵇ − 1)`, with ties to even. `obertc run` writes the file; evaluation, `pack` and
//! exports read it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diag::{Code, Diagnostic};

/// The file's name in a model folder.
pub const FILE: &str = "quantization.json";

const FORMAT: &str = "obert.quantization";
const VERSION: u32 = 1;

/// The scales of a model's weights and activations.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Quantization {
    format: String,
    version: u32,
    /// Weights by their Hugging Face names.
    #[serde(default)]
    pub weights: BTreeMap<String, WeightScales>,
    /// Activations by module and operand: `….query.input` for the input of a linear layer, and
    /// `….attention.self.{query_states, key_states, probabilities, value_states}` for the products of attention.
    #[serde(default)]
    pub activations: BTreeMap<String, ActivationScale>,
}

/// Quantization parameters of a weight.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WeightScales {
    /// The bit width of `q`, in 2..=8.
    pub bits: u32,
    /// Always `symmetric`; others are refused.
    pub scheme: Scheme,
    /// One scale (per tensor), or one for each row (per channel).
    pub scales: Vec<f32>,
}

/// Quantizes values of one scale: `q = clamp(round(w · (1 / s)), −qmax − 1, qmax)`, ties to even. The values are multiplied
/// with the reciprocal, as by `torch.fake_quantize_per_channel_affine` and in training: division would quantize a few
/// values at ties to another `q`.
pub fn quantize(values: &[f32], scale: f32, qmax: f32) -> impl Iterator<Item = i8> {
    let inverse = 1.0 / scale;
    values.iter().map(move |w| (w * inverse).round_ties_even().clamp(-qmax - 1.0, qmax) as i8)
}

/// Quantization parameters of an activation.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct ActivationScale {
    /// The bit width of `q`, in 2..=8.
    pub bits: u32,
    /// Symmetric or asymmetric.
    pub scheme: Scheme,
    /// The scale s.
    pub scale: f32,
    /// The zero point z; 0 for a symmetric scheme.
    #[serde(default)]
    pub zero_point: i32,
}

/// A quantization scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Signed integers with zero point 0.
    Symmetric,
    /// Unsigned integers with a zero point.
    Asymmetric,
}

/// What is wrong with a scale that is zero, negative, subnormal, infinite or NaN.
const NOT_A_SCALE: &str = "which is not a positive, normal float32 number";

impl Quantization {
    /// The file's content for these scales.
    pub fn new(
        weights: BTreeMap<String, WeightScales>,
        activations: BTreeMap<String, ActivationScale>,
    ) -> Self {
        Quantization { format: FORMAT.into(), version: VERSION, weights, activations }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        // invariant: names and numbers alone.
        let text = serde_json::to_string_pretty(self).expect("scales as JSON");
        format!("{text}\n")
    }

    /// Reads the file of a folder, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read, or holds impossible scales or asymmetric weights.
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
        let check_bits = |name: &str, bits: u32| match (2..=8).contains(&bits) {
            true => Ok(()),
            false => Err(wrong(format!("`{name}` has {bits} bits; they must be in 2..=8"))),
        };
        for (name, weight) in &read.weights {
            check_bits(name, weight.bits)?;
            if let Some(scale) = weight.scales.iter().find(|scale| !sound(scale)) {
                return Err(wrong(format!("`{name}` has the scale {scale}, {NOT_A_SCALE}")));
            }
            if weight.scheme != Scheme::Symmetric {
                return Err(Diagnostic::unlocated(
                    Code::PackedUnsupported,
                    format!("the weight `{name}` is quantized with a zero point"),
                )
                .help("with a zero point, pruned weights are stored as integers that are not zero; quantize weights symmetrically"));
            }
        }
        for (name, a) in &read.activations {
            let asymmetric = a.scheme == Scheme::Asymmetric;
            check_bits(name, a.bits)?;
            if !sound(&a.scale) {
                return Err(wrong(format!("`{name}` has the scale {}, {NOT_A_SCALE}", a.scale)));
            }
            if asymmetric && !(0..1 << a.bits).contains(&a.zero_point) {
                let (point, most) = (a.zero_point, (1 << a.bits) - 1);
                return Err(wrong(format!("`{name}` has the zero point {point}; it must be in 0..={most}")));
            }
        }
        Ok(Some(read))
    }
}

/// The error for a file that cannot be used, with the reason.
pub fn unreadable(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::QuantizationNotReadable, format!("cannot use `{}`: {why}", path.display()))
        .help("it is written by `obertc run` for a recipe with `quantize`; take it from there, or remove it")
}

#[cfg(test)]
mod tests {
    use super::quantize;

    #[test]
    fn values_at_ties_are_quantized_as_by_pytorch() {
        // As `torch.fake_quantize_per_channel_affine` quantizes them; division would give −12, −13, 4 and −14.
        for (w, scale, expected) in [
            (-0.121_027_72, 0.009_682_218, -13),
            (-0.041_503_813, 0.003_320_305, -12),
            (0.022_946_98, 0.006_556_28, 3),
            (-0.112_361_35, 0.008_323_063, -13),
        ] {
            assert_eq!(quantize(&[w], scale, 127.0).collect::<Vec<_>>(), [expected]);
        }
        assert_eq!(quantize(&[9.0, -9.0], 1.0, 7.0).collect::<Vec<_>>(), [7, -8]);
    }
}
