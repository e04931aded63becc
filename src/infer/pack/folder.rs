//! Packs a model folder in the Hugging Face layout.

use std::collections::HashMap;
use std::path::Path;

use super::Precision;
use super::build::{Plan, build};
use super::describe;
use crate::diag::{Code, Diagnostic, Sources};
use crate::infer::file::Image;
use crate::infer::file::layout::Head;
use crate::params::folder::{self, ModelFolder};
use crate::params::quantization::{self, Quantization};
use crate::params::sentence_modules::{self, SentenceModules};
use crate::params::{Settings, builtin, tensors};
use crate::text::{self, Tokenizer};

/// Packs a model folder. Without a precision, a model with `quantization.json` is packed in int8 and any other in
/// float32.
///
/// # Errors
/// One diagnostic for each fault of the folder; a model that the runtime cannot run.
pub fn pack(
    path: &Path,
    precision: Option<Precision>,
    sources: &mut Sources,
) -> Result<Image, Vec<Diagnostic>> {
    let model = read(path, sources)?;
    let one = |d: Diagnostic| vec![d];
    let trained = Quantization::read(path).map_err(one)?;
    let plan = match (precision, trained) {
        (Some(Precision::Float32), _) | (None, None) => Plan::Float32,
        (Some(Precision::Int8), None) => Plan::Dynamic,
        (_, Some(trained)) => Plan::Static(trained),
    };
    if let Plan::Static(trained) = &plan
        && let Some(name) = trained.weights.keys().find(|name| model.table.find(name).is_none())
    {
        let why = format!("it has scales for `{name}`, which the model does not have");
        return Err(one(quantization::unreadable(&path.join(quantization::FILE), &why)));
    }
    let head = head_of(&model).map_err(one)?;
    let mut values: HashMap<String, Vec<f32>> = HashMap::new();
    let known = |name: &str| model.names.canonical(name).filter(|known| model.table.find(known).is_some());
    for file in &model.files {
        let take = |name: &str, tensor| values.extend(known(name).map(|known| (known, tensor)));
        tensors::read(file, |name| known(name).is_some(), take).map_err(one)?;
    }
    // Without a tokenizer the packed model accepts token ids only.
    let tokenizer = match text::FILES.iter().any(|name| path.join(name).is_file()) {
        true => Some(Tokenizer::from_folder(path, sources).map_err(one)?.json()),
        false => None,
    };
    let tensor = |name: &str| {
        values.get(name).cloned().ok_or_else(|| {
            Diagnostic::unlocated(
                Code::TensorMissing,
                format!("the model `{}` lacks the tensor `{name}`", path.display()),
            )
            .help("does config.json belong to this file?")
        })
    };
    let mut image =
        build(&model.config, head, tokenizer.as_deref().map(str::as_bytes), &plan, &tensor).map_err(one)?;
    let modules = SentenceModules::read(path).map_err(one)?;
    let prompts = SentenceModules::prompts(path).map_err(one)?;
    let of_modules = Settings {
        max_length: modules.and_then(|m| m.max_length),
        prompts: (!prompts.is_empty()).then_some(prompts),
        ..Settings::default()
    };
    let settings = Settings::read(path, sources).map_err(one)?.unwrap_or_default().or(of_modules);
    if settings != Settings::default() {
        image.set_settings(settings);
    }
    Ok(image)
}

/// Reads the configuration and the parameter table of a folder with the head in its files; a bare encoder gives
/// embeddings.
///
/// # Errors
/// Those of [`folder::read`].
pub fn read(path: &Path, sources: &mut Sources) -> Result<ModelFolder, Vec<Diagnostic>> {
    let model = folder::read(path, sources)?;
    let class = model.config.architectures.first().map_or("", String::as_str);
    let is_bare = class.ends_with("Model") || path.join(sentence_modules::FILE).is_file();
    let has_head = model.missing_head.is_empty() || model.unusable_head.is_some();
    if has_head || !is_bare {
        return Ok(model);
    }
    folder::read_with_head(path, Some(builtin::Head::Embedding), sources)
}

/// The head of a model folder, if the runtime supports it.
fn head_of(model: &ModelFolder) -> Result<Head, Diagnostic> {
    let refused = |why: String, help: &str| {
        let message = format!("the runtime cannot run `{}`: {why}", model.path.display());
        Err(Diagnostic::unlocated(Code::PackedUnsupported, message).help(help))
    };
    if let Some(unusable) = &model.unusable_head {
        return Err(unusable.clone());
    }
    let help = "it runs models for question answering, classification of texts or tokens, regression, and embeddings";
    if let Some(lost) = model.missing_head.first() {
        return refused(format!("it has no head: `{lost}` is missing"), help);
    }
    match describe::head_of(model)? {
        Some(head) => Ok(head),
        None => refused(describe::NO_HEAD.to_owned(), help),
    }
}
