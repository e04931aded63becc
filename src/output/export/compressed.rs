//! `--as compressed-tensors`: INT8 weights and scales as vLLM and `transformers` read them.
//!
//! A linear layer `NAME` that has scales becomes `NAME.weight` (I8), `NAME.weight_scale` (F32, `[1]` or
//! `[out, 1]`) and, if its input is quantized too, `NAME.input_scale` (F32, `[1]`) and, for a scheme with a zero
//! point, `NAME.input_zero_point` (I8, `[1]`). Inputs are signed in this format and unsigned here, so zero points are
//! shifted by half the range. `quantization_config` in `config.json` groups layers of the same scheme.
//!
//! The format has no scales for the matrix products of attention, which stay float32; embeddings are written as
//! dequantized float32.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::source::{QuantizedWeight, Source};
use super::tensors::{self, Raw};
use crate::diag::{Code, Diagnostic};
use crate::params::Parameter;
use crate::params::quantization::{ActivationScale, Quantization, Scheme, WeightScales};

/// The file of the weights.
pub const FILE: &str = "model.safetensors";

/// The key of `config.json` under which the scheme is described.
pub const CONFIG: &str = "quantization_config";

/// A model in this format: its tensors, its scheme, and the scales that it keeps.
#[derive(Debug)]
pub struct Written {
    /// The tensors of the file.
    pub tensors: BTreeMap<String, Raw>,
    /// `quantization_config`.
    pub scheme: Value,
    /// The scales of the model that the format can represent.
    pub kept: Quantization,
    /// The names of weights with fewer than 8 bits.
    pub widened: Vec<String>,
}

/// The quantization scheme of a group of layers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    per_row: bool,
    input: Input,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Input {
    Floats,
    Dynamic,
    Fixed { bits: u32, symmetric: bool },
}

/// Writes a model in this format. With `dynamic`, inputs without scales are quantized per token at run time.
///
/// # Errors
/// A model without scales.
pub fn tensors(source: &Source, dynamic: bool) -> Result<Written, Diagnostic> {
    let quantization = source.quantization.as_ref().ok_or_else(|| not_quantized(&source.path))?;
    let mut all = BTreeMap::new();
    let mut groups: BTreeMap<Group, Vec<String>> = BTreeMap::new();
    let (mut ignore, mut widened) = (Vec::new(), Vec::new());
    let (mut weights, mut activations) = (BTreeMap::new(), BTreeMap::new());
    for parameter in source.table.iter() {
        let name = &parameter.name;
        let Some(module) = linear(parameter) else {
            all.insert(name.clone(), Raw::floats(&parameter.shape, &source.seen(name)));
            continue;
        };
        let Some(quantized) = source.quantized(name) else {
            ignore.push(module.to_owned());
            all.insert(name.clone(), Raw::floats(&parameter.shape, source.values(name)));
            continue;
        };
        let scales = &quantization.weights[name];
        if scales.bits < 8 {
            widened.push(name.clone());
        }
        weights.insert(name.clone(), scales.clone());
        let per_row = quantized.scales.len() > 1;
        let rows = quantized.scales.len();
        let shape: &[usize] = if per_row { &[rows, 1] } else { &[1] };
        all.insert(name.clone(), Raw::signed(&parameter.shape, &quantized.bytes));
        all.insert(format!("{module}.weight_scale"), Raw::floats(shape, &quantized.scales));
        let operand = format!("{module}.input");
        let input = match quantization.activations.get(&operand) {
            None if dynamic => Input::Dynamic,
            None => Input::Floats,
            Some(scale) => {
                activations.insert(operand, *scale);
                all.insert(format!("{module}.input_scale"), Raw::floats(&[1], &[scale.scale]));
                let symmetric = scale.scheme == Scheme::Symmetric;
                if !symmetric {
                    let zero = scale.zero_point - (1 << (scale.bits - 1));
                    all.insert(format!("{module}.input_zero_point"), Raw::signed(&[1], &[zero as i8]));
                }
                Input::Fixed { bits: scale.bits, symmetric }
            }
        };
        groups.entry(Group { per_row, input }).or_default().push(module.to_owned());
    }
    if groups.is_empty() {
        return Err(not_quantized(&source.path));
    }
    let scheme = described(groups, ignore);
    Ok(Written { tensors: all, scheme, kept: Quantization::new(weights, activations), widened })
}

/// The path of the linear layer whose weight this is.
fn linear(parameter: &Parameter) -> Option<&str> {
    parameter.is_prunable().then(|| parameter.name.strip_suffix(".weight"))?
}

fn not_quantized(path: &Path) -> Diagnostic {
    let message = format!("`{}` has no scales: it was not quantized in training", path.display());
    Diagnostic::unlocated(Code::NotQuantized, message).help(
        "train it with `quantize`, or give `--quantize-weights`: weights are quantized with a scale for each row, and \
         inputs when the model runs",
    )
}

fn described(groups: BTreeMap<Group, Vec<String>>, ignore: Vec<String>) -> Value {
    // The largest group targets the class `Linear`, as is usual in these files; the others name their layers,
    // which take precedence.
    let most = groups.values().map(Vec::len).max().unwrap_or(0);
    let mut by_class = false;
    let mut config_groups = serde_json::Map::new();
    for (i, (group, modules)) in groups.into_iter().enumerate() {
        let targets = if modules.len() == most && !by_class {
            by_class = true;
            vec!["Linear".to_owned()]
        } else {
            modules
        };
        let args = |bits: u32, symmetric: bool, strategy: &str, dynamic: bool| {
            json!({
                "num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": strategy,
                "dynamic": dynamic, "group_size": null,
            })
        };
        let input = match group.input {
            Input::Floats => Value::Null,
            Input::Dynamic => args(8, true, "token", true),
            Input::Fixed { bits, symmetric } => args(bits, symmetric, "tensor", false),
        };
        let described = json!({
            "targets": targets,
            "weights": args(8, true, if group.per_row { "channel" } else { "tensor" }, false),
            "input_activations": input,
            "output_activations": null,
            "format": "int-quantized",
        });
        config_groups.insert(format!("group_{i}"), described);
    }
    json!({
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "quantization_status": "compressed",
        "config_groups": config_groups,
        "ignore": ignore,
        "kv_cache_scheme": null,
        "global_compression_ratio": null,
    })
}

/// Reads the dequantized weights and the scales of such a folder, for the parameters in `expected`.
///
/// # Errors
/// Tensors that are missing or have another type or shape.
pub fn read(
    folder: &Path,
    expected: &Source,
) -> Result<(BTreeMap<String, Vec<f32>>, Quantization), Diagnostic> {
    let path = folder.join(FILE);
    let mut all = tensors::read(&path)?;
    let text = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
    let config: Value = serde_json::from_str(&text).unwrap_or_default();
    let wrong = |why: String| {
        Diagnostic::unlocated(Code::ExportNotReadable, format!("cannot use `{}`: {why}", path.display()))
            .help("write it again: `obertc pack MODEL --as compressed-tensors`")
    };
    let mut values = BTreeMap::new();
    let (mut weights, mut activations) = (BTreeMap::new(), BTreeMap::new());
    for parameter in expected.table.iter() {
        let name = &parameter.name;
        let mut take = |name: &str| all.remove(name);
        let raw = take(name).ok_or_else(|| wrong(format!("it has no `{name}`")))?;
        if raw.shape != parameter.shape {
            return Err(wrong(format!("`{name}` is {:?}, not {:?}", raw.shape, parameter.shape)));
        }
        let Some(bytes) = raw.as_signed() else {
            let floats = raw.as_floats().ok_or_else(|| wrong(format!("`{name}` is {:?}", raw.dtype)))?;
            values.insert(name.clone(), floats);
            continue;
        };
        let module = name.strip_suffix(".weight").unwrap_or(name);
        let scales = take(&format!("{module}.weight_scale")).and_then(|raw| raw.as_floats());
        let scales = scales.filter(|s| s.len() == 1 || s.len() == parameter.shape[0]);
        let scales = scales.ok_or_else(|| wrong(format!("`{name}` has no scales that fit")))?;
        let quantized = QuantizedWeight { bytes, scales, columns: parameter.inputs() };
        values.insert(name.clone(), quantized.floats());
        let scales = WeightScales { bits: 8, scheme: Scheme::Symmetric, scales: quantized.scales };
        weights.insert(name.clone(), scales);
        if let Some(scale) = take(&format!("{module}.input_scale")) {
            let scale = scale.as_floats().and_then(|s| s.first().copied());
            let scale = scale.ok_or_else(|| wrong(format!("`{module}.input_scale` is not a float")))?;
            let zero = match take(&format!("{module}.input_zero_point")) {
                None => None,
                Some(raw) => {
                    let zero = raw.as_signed().and_then(|z| z.first().copied());
                    Some(zero.ok_or_else(|| wrong(format!("`{module}.input_zero_point` is not a byte")))?)
                }
            };
            let bits = input_bits(&config, module)
                .ok_or_else(|| wrong(format!("config.json has no bits for the input of `{module}`")))?;
            let scheme = if zero.is_some() { Scheme::Asymmetric } else { Scheme::Symmetric };
            let zero_point = zero.map_or(0, |z| i32::from(z) + (1 << (bits - 1)));
            activations
                .insert(format!("{module}.input"), ActivationScale { bits, scheme, scale, zero_point });
        }
    }
    if let Some(stray) = all.keys().next() {
        return Err(wrong(format!("it has `{stray}`, which does not belong to a layer")));
    }
    Ok((values, Quantization::new(weights, activations)))
}

/// The bits of a layer's input, from the group that lists the layer's name, else from the one that lists its class.
fn input_bits(config: &Value, module: &str) -> Option<u32> {
    let scheme = &config[CONFIG];
    if scheme["ignore"].as_array()?.iter().any(|name| name == module) {
        return None;
    }
    let groups = || scheme["config_groups"].as_object().into_iter().flat_map(|groups| groups.values());
    let of = |target: &str| {
        groups().find(|g| g["targets"].as_array().is_some_and(|t| t.iter().any(|name| name == target)))
    };
    let bits = of(module).or_else(|| of("Linear"))?["input_activations"]["num_bits"].as_u64()?;
    (2..=8).contains(&bits).then_some(bits as u32)
}
