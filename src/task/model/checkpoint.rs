//! Reads and writes model folders in the Hugging Face layout.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use safetensors::tensor::{Dtype, TensorView};

use crate::diag::{Code, Diagnostic, Sources};
use crate::files;
use crate::params::builtin::Head;
use crate::params::quantization::{self, Quantization};
use crate::params::{BertConfig, folder, header, tensors};
use crate::task::parameters::{self, Values};
use crate::task::quantizers::Quantizers;

use super::{BertForQuestionAnswering, BertModel};

/// A model read from a folder.
#[derive(Debug)]
pub struct Loaded<M = BertForQuestionAnswering> {
    /// The model.
    pub model: M,
    /// Its configuration.
    pub config: BertConfig,
    /// Randomly initialized parameters: those of the head, if the file has only an encoder.
    pub new_parameters: Vec<String>,
    /// Tensors of the file that the model does not have.
    pub unused: Vec<String>,
    /// Notes for the user on how the files were read.
    pub notes: Vec<String>,
}

/// Loads a model for question answering. Missing parameters of the head are initialized from `seed`.
///
/// # Errors
/// Everything that is wrong with the folder.
pub fn load(
    path: &Path,
    seed: u64,
    device: &Device,
    sources: &mut Sources,
) -> Result<Loaded, Vec<Diagnostic>> {
    load_with_head(path, Head::QuestionAnswering, seed, device, sources)
}

/// Loads a model with any head. Missing parameters of the head are initialized from `seed`.
///
/// # Errors
/// Everything that is wrong with the folder.
pub fn load_with_head<M: BertModel>(
    path: &Path,
    head: Head,
    seed: u64,
    device: &Device,
    sources: &mut Sources,
) -> Result<Loaded<M>, Vec<Diagnostic>> {
    let folder = folder::read_with_head(path, Some(head), sources)?;
    let model = M::with_head(&folder.config, head, seed, device);
    let used = |name: &str| folder.names.canonical(name).filter(|n| folder.table.find(n).is_some());
    let (mut values, mut unused) = (Values::new(), Vec::new());
    for file in &folder.files {
        let names = header::read(file).map_err(|d| vec![d])?.into_iter().map(|tensor| tensor.name);
        unused.extend(names.filter(|n| folder.names.canonical(n).is_some() && used(n).is_none()));
        let take = |name: &str, value| {
            values.extend(used(name).map(|known| (known, value)));
        };
        tensors::read(file, |name| used(name).is_some(), take).map_err(|d| vec![d])?;
    }
    let model = parameters::write(model, values);
    let (config, new_parameters, notes) = (folder.config, folder.missing_head, folder.notes);
    Ok(Loaded { model, config, new_parameters, unused, notes })
}

/// Applies the scales in the folder's `quantization.json`, if there is one: weights are quantized now, activations
/// get quantizers with fixed scales. Without the file the model is unchanged.
///
/// # Errors
/// Scales that cannot be read or do not fit the model.
pub fn with_scales<M: BertModel>(model: M, folder: &Path) -> Result<M, Diagnostic> {
    let Some(scales) = Quantization::read(folder)? else { return Ok(model) };
    let mut quantizers = Quantizers::from_scales(&scales, &parameters::parameters(&model))
        .map_err(|why| quantization::unreadable(&folder.join(quantization::FILE), &why))?;
    let mut values = parameters::read(&model, |name| scales.weights.contains_key(name));
    quantizers.quantize_values(&parameters::table(&model), &mut values);
    scales.weights.keys().for_each(|name| quantizers.remove(name));
    Ok(parameters::write(model, values).with_quantizers(Some(Arc::new(quantizers))))
}

/// Writes `config.json` and `model.safetensors` (float32) into a folder. The configuration gets the model's class
/// and its present number of layers. Fake-quantized weights are written quantized (as floats), and the scales into
/// `quantization.json`.
///
/// # Errors
/// A file that cannot be written.
pub fn save<M: BertModel>(model: &M, config: &BertConfig, folder: &Path) -> Result<(), Diagnostic> {
    let table = parameters::table(model);
    let mut values = parameters::read(model, |_| true);
    if let Some(quantizers) = model.quantizers().filter(|quantizers| !quantizers.is_empty()) {
        quantizers.quantize_values(&table, &mut values);
        let text = quantizers.scales(&table).to_json();
        files::write_whole(&folder.join(quantization::FILE), text.as_bytes())?;
    }
    let prefix = format!("{}.", config.family().prefix());
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = table
        .iter()
        .filter_map(|p| {
            let values = values.get(&p.name)?;
            let bare = p.name.strip_prefix(prefix.as_str()).filter(|_| M::BARE).unwrap_or(&p.name);
            Some((bare.to_owned(), p.shape.clone(), values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        })
        .collect();
    let write_failed = |why: String| {
        Diagnostic::unlocated(Code::WriteFailed, format!("cannot write a model: {why}"))
            .help("this is a mistake in obert; please report it")
    };
    let mut views = Vec::new();
    for (name, shape, data) in &bytes {
        let view =
            TensorView::new(Dtype::F32, shape.clone(), data).map_err(|e| write_failed(e.to_string()))?;
        views.push((name.as_str(), view));
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    let whole = safetensors::serialize(views, Some(metadata)).map_err(|e| write_failed(e.to_string()))?;
    files::write_whole(&folder.join("model.safetensors"), &whole)?;
    let mut config = config.clone();
    config.architectures = vec![M::architecture(&config)];
    config.set_layers(model.encoder().architecture());
    config.rest.insert("dtype".to_owned(), "float32".into());
    config.rest.remove("torch_dtype");
    let text = serde_json::to_string_pretty(&config).map_err(|e| write_failed(e.to_string()))?;
    files::write_whole(&folder.join("config.json"), format!("{text}\n").as_bytes())
}
