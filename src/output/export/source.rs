//! The model that leaves: a folder's weights as floats, with the scales they are rounded by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::bitmask;
use crate::diag::{Code, Diagnostic, Sources};
use crate::infer::file::layout::Head;
use crate::params::naming::Names;
use crate::params::quantization::{self, Quantization, Scheme, WeightScales};
use crate::params::{BertConfig, Family, ParameterTable, folder, tensors};

/// A model folder, read whole.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder.
    pub path: PathBuf,
    /// Its configuration.
    pub config: BertConfig,
    /// The same as it stands in `config.json`.
    pub written: Map<String, Value>,
    /// Its parameters in order.
    pub table: ParameterTable,
    /// Their values by name, in the Hugging Face layout.
    pub tensors: BTreeMap<String, Vec<f32>>,
    /// Its scales, if it was trained with quantization.
    pub quantization: Option<Quantization>,
    /// The files that hold the weights; empty for a folder of bitmasks.
    pub files: Vec<PathBuf>,
    /// What the model answers; `None` for a head that the runtime does not run.
    pub head: Option<Head>,
    /// Why the head that the folder holds cannot be used, such as one for regression.
    pub unusable_head: Option<Diagnostic>,
}

/// A weight in whole numbers: `scale · q`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounded {
    /// `q`, in the layout of the weight.
    pub bytes: Vec<i8>,
    /// One scale, or one for each row.
    pub scales: Vec<f32>,
    /// Inputs of a row.
    pub columns: usize,
}

impl Rounded {
    /// Rounds a weight by its scales, to the nearest whole number and to the even one of two.
    pub fn of(values: &[f32], columns: usize, scales: &WeightScales) -> Rounded {
        let most = ((1u32 << (scales.bits - 1)) - 1) as f32;
        let rows = values.chunks(columns.max(1)).enumerate();
        let bytes = rows.flat_map(|(row, values)| {
            let scale = scales.scales[if scales.scales.len() == 1 { 0 } else { row }];
            values.iter().map(move |v| (v / scale).round_ties_even().clamp(-most - 1.0, most) as i8)
        });
        Rounded { bytes: bytes.collect(), scales: scales.scales.clone(), columns }
    }

    /// The scale of a row.
    pub fn scale(&self, row: usize) -> f32 {
        self.scales[if self.scales.len() == 1 { 0 } else { row }]
    }

    /// The floats that the numbers stand for.
    pub fn floats(&self) -> Vec<f32> {
        let rows = self.bytes.chunks(self.columns.max(1)).enumerate();
        rows.flat_map(|(row, bytes)| bytes.iter().map(move |b| f32::from(*b) * self.scale(row))).collect()
    }
}

impl Source {
    /// Reads a model folder, or a folder that `--as sparse-bitmask` wrote.
    ///
    /// # Errors
    /// Everything that is wrong with the folder.
    pub fn read(path: &Path, sources: &mut Sources) -> Result<Source, Vec<Diagnostic>> {
        let one = |d: Diagnostic| vec![d];
        let written = |path: &Path| {
            let text = std::fs::read_to_string(path.join("config.json")).unwrap_or_default();
            // invariant: it was read as a configuration just before.
            serde_json::from_str::<Map<String, Value>>(&text).unwrap_or_default()
        };
        let (config, table, files, missing_head, unusable_head, tensors) =
            if path.join(bitmask::FILE).exists() {
                let config = folder::read_config(path, sources).map_err(one)?;
                let (table, tensors) = bitmask::read(path, &config).map_err(one)?;
                (config, table, Vec::new(), Vec::new(), None, tensors)
            } else {
                let model = folder::read(path, sources)?;
                let mut tensors = BTreeMap::new();
                for file in &model.files {
                    read_floats(file, &model.names, &mut tensors).map_err(one)?;
                }
                tensors.retain(|name, _| model.table.find(name).is_some());
                (model.config, model.table, model.files, model.missing_head, model.unusable_head, tensors)
            };
        let mut written = written(path);
        written.shift_remove(bitmask::CONFIG);
        let quantization = Quantization::read(path).map_err(one)?;
        let usable = missing_head.is_empty() && unusable_head.is_none();
        let head = if usable { head_of(&config, &table) } else { None };
        let source = Source {
            path: path.to_owned(),
            config,
            written,
            table,
            tensors,
            quantization,
            files,
            head,
            unusable_head,
        };
        source.check_scales().map_err(one)?;
        Ok(source)
    }

    /// Whether the scales are of this model.
    fn check_scales(&self) -> Result<(), Diagnostic> {
        let Some(quantization) = &self.quantization else { return Ok(()) };
        let wrong = |why: String| quantization::unreadable(&self.path.join(quantization::FILE), &why);
        for (name, scales) in &quantization.weights {
            let Some(parameter) = self.table.find(name).filter(|p| p.shape.len() == 2) else {
                return Err(wrong(format!("it has scales for `{name}`, which is no matrix of the model")));
            };
            let (rows, count) = (parameter.shape[0], scales.scales.len());
            if count != 1 && count != rows {
                return Err(wrong(format!("`{name}` has {rows} rows and {count} scales")));
            }
        }
        Ok(())
    }

    /// The values of a parameter. Empty if the folder lacks it, as the head of a bare encoder.
    pub fn values(&self, name: &str) -> &[f32] {
        self.tensors.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a weight has scales.
    pub fn rounded_at(&self, name: &str) -> bool {
        self.quantization.as_ref().is_some_and(|q| q.weights.contains_key(name))
    }

    /// The whole numbers of a weight that has scales.
    pub fn rounded(&self, name: &str) -> Option<Rounded> {
        let scales = self.quantization.as_ref()?.weights.get(name)?;
        let columns = self.table.find(name)?.inputs();
        Some(Rounded::of(self.values(name), columns, scales))
    }

    /// The values as the quantized model sees them.
    pub fn seen(&self, name: &str) -> Vec<f32> {
        self.rounded(name).map_or_else(|| self.values(name).to_vec(), |r| r.floats())
    }

    /// Gives weights of the encoder that have no scales one for each row, by the greatest weight of the row.
    pub fn round_weights(&mut self) {
        let mut weights = BTreeMap::new();
        for parameter in self.table.iter().filter(|p| p.is_prunable() && is_layer(&p.name)) {
            let rows = self.values(&parameter.name).chunks(parameter.inputs());
            let scales = rows.map(|row| {
                let scale = row.iter().fold(0.0f32, |most, v| most.max(v.abs())) / 127.0;
                if scale.is_normal() { scale } else { 1.0 }
            });
            let scales = WeightScales { bits: 8, scheme: Scheme::Symmetric, scales: scales.collect() };
            weights.insert(parameter.name.clone(), scales);
        }
        self.quantization = Some(Quantization::new(weights, BTreeMap::new()));
    }
}

/// Whether a parameter belongs to a layer of the encoder: neither embeddings nor head.
pub fn is_layer(name: &str) -> bool {
    name.contains(".layer.")
}

fn head_of(config: &BertConfig, table: &ParameterTable) -> Option<Head> {
    if config.family() != Family::Bert {
        return None;
    }
    if table.find("qa_outputs.weight").is_some() {
        return Some(Head::Answers);
    }
    let count = table.find("classifier.weight")?.shape[0];
    let named = config.labels().filter(|names| names.len() == count);
    Some(Head::Labels(named.unwrap_or_else(|| (0..count).map(|i| format!("LABEL_{i}")).collect())))
}

/// Reads all tensors of a weight file as floats, under their present names.
fn read_floats(
    file: &Path,
    names: &Names,
    values_of: &mut BTreeMap<String, Vec<f32>>,
) -> Result<(), Diagnostic> {
    let known = |name: &str| names.canonical(name);
    tensors::read(
        file,
        |name| known(name).is_some(),
        |name, values| {
            values_of.extend(known(name).map(|name| (name, values)));
        },
    )
}

/// A weight file that is damaged.
pub fn not_readable(file: &Path, why: &str) -> Diagnostic {
    let message = format!("cannot read `{}`: {why}", file.display());
    Diagnostic::unlocated(Code::ModelNotReadable, message)
        .help("is it a whole safetensors file? compare its size with the original")
}
