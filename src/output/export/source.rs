//! Reading the model to export: weights as float32, with the scales of a quantized model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::diag::{Code, Diagnostic, Sources, counted};
use crate::infer::file::layout::Head;
use crate::infer::pack::{self, describe};
use crate::params::folder::ModelFolder;
use crate::params::naming::Names;
use crate::params::quantization::{self, Quantization, Scheme, WeightScales, quantize};
use crate::params::storage::is_encoder_layer;
use crate::params::{BertConfig, ParameterTable, tensors};

/// A model folder with its weights.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder.
    pub path: PathBuf,
    /// Its configuration.
    pub config: BertConfig,
    /// `config.json` as JSON.
    pub written: Map<String, Value>,
    /// Its parameters in order.
    pub table: ParameterTable,
    /// Their values by name, in the Hugging Face layout.
    pub tensors: BTreeMap<String, Vec<f32>>,
    /// The scales, if it was trained with quantization.
    pub quantization: Option<Quantization>,
    /// The files that hold the weights.
    pub files: Vec<PathBuf>,
    /// The head of the model; `None` for one that the runtime does not run.
    pub head: Option<Head>,
    /// Why the folder's head cannot be used, such as one for regression.
    pub unusable_head: Option<Diagnostic>,
    /// Why the runtime cannot compute the encoder; such a model is written as a dense folder all the same.
    pub not_computed: Option<Diagnostic>,
}

/// A quantized weight: `scale · q`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeight {
    /// `q`, in the layout of the weight.
    pub bytes: Vec<i8>,
    /// One scale, or one for each row.
    pub scales: Vec<f32>,
    /// Values per row.
    pub columns: usize,
}

impl QuantizedWeight {
    /// Quantizes a weight by its scales, to `-2^(bits-1) ..= 2^(bits-1) - 1`.
    pub fn of(values: &[f32], columns: usize, scales: &WeightScales) -> QuantizedWeight {
        let most = ((1u32 << (scales.bits - 1)) - 1) as f32;
        let rows = values.chunks(columns.max(1)).enumerate();
        let bytes = rows.flat_map(|(row, values)| {
            let scale = scales.scales[if scales.scales.len() == 1 { 0 } else { row }];
            quantize(values, scale, most)
        });
        QuantizedWeight { bytes: bytes.collect(), scales: scales.scales.clone(), columns }
    }

    /// The scale of a row.
    pub fn scale(&self, row: usize) -> f32 {
        self.scales[if self.scales.len() == 1 { 0 } else { row }]
    }

    /// The dequantized weight, `scale · q`.
    pub fn floats(&self) -> Vec<f32> {
        let rows = self.bytes.chunks(self.columns.max(1)).enumerate();
        rows.flat_map(|(row, bytes)| bytes.iter().map(move |b| f32::from(*b) * self.scale(row))).collect()
    }
}

impl Source {
    /// Reads a model folder.
    ///
    /// # Errors
    /// A diagnostic for everything that is wrong with the folder.
    pub fn read(path: &Path, sources: &mut Sources) -> Result<Source, Vec<Diagnostic>> {
        let one = |d: Diagnostic| vec![d];
        let written = |path: &Path| {
            let text = std::fs::read_to_string(path.join("config.json")).unwrap_or_default();
            // invariant: it was read as a configuration just before.
            serde_json::from_str::<Map<String, Value>>(&text).unwrap_or_default()
        };
        let folder = pack::folder::read(path, sources)?;
        let not_computed = describe::encoder(&folder.config).err();
        let usable =
            folder.missing_head.is_empty() && folder.unusable_head.is_none() && not_computed.is_none();
        let head = if usable { describe::head_of(&folder).map_err(one)? } else { None };
        let ModelFolder { config, table, files, unusable_head, names, .. } = folder;
        let mut tensors = BTreeMap::new();
        for file in &files {
            read_floats(file, &names, &mut tensors).map_err(one)?;
        }
        tensors.retain(|name, _| table.find(name).is_some());
        let written = written(path);
        let quantization = Quantization::read(path).map_err(one)?;
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
            not_computed,
        };
        source.check_scales().map_err(one)?;
        Ok(source)
    }

    /// Checks that the scales fit this model.
    fn check_scales(&self) -> Result<(), Diagnostic> {
        let Some(quantization) = &self.quantization else { return Ok(()) };
        let wrong = |why: String| quantization::unreadable(&self.path.join(quantization::FILE), &why);
        for (name, scales) in &quantization.weights {
            let Some(parameter) = self.table.find(name).filter(|p| p.shape.len() == 2) else {
                return Err(wrong(format!("it has scales for `{name}`, which is not a matrix of the model")));
            };
            let (rows, count) = (parameter.shape[0], scales.scales.len());
            if count != 1 && count != rows {
                let rows = counted(rows, "row", "rows");
                return Err(wrong(format!("`{name}` has {rows} and {count} scales")));
            }
        }
        Ok(())
    }

    /// The values of a parameter; empty if the folder lacks it, such as the head of an encoder.
    pub fn values(&self, name: &str) -> &[f32] {
        self.tensors.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a weight has scales.
    pub fn has_scales(&self, name: &str) -> bool {
        self.quantization.as_ref().is_some_and(|q| q.weights.contains_key(name))
    }

    /// A weight with scales, quantized.
    pub fn quantized(&self, name: &str) -> Option<QuantizedWeight> {
        let scales = self.quantization.as_ref()?.weights.get(name)?;
        let columns = self.table.find(name)?.inputs();
        Some(QuantizedWeight::of(self.values(name), columns, scales))
    }

    /// The values of a parameter, dequantized if it has scales.
    pub fn seen(&self, name: &str) -> Vec<f32> {
        self.quantized(name).map_or_else(|| self.values(name).to_vec(), |r| r.floats())
    }

    /// Gives the encoder's matrices INT8 scales, one for each row: `s = max|w| / 127`.
    pub fn quantize_weights(&mut self) {
        let mut weights = BTreeMap::new();
        for parameter in self.table.iter().filter(|p| p.is_prunable() && is_encoder_layer(&p.name)) {
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

/// Reads all tensors of a weight file as float32, under their canonical names.
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

/// The diagnostic for a damaged weight file.
pub fn not_readable(file: &Path, why: &str) -> Diagnostic {
    let message = format!("cannot read `{}`: {why}", file.display());
    Diagnostic::unlocated(Code::ModelNotReadable, message)
        .help("is it a whole safetensors file? compare its size with the original")
}
