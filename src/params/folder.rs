//! A model folder's configuration and parameter table, from headers only.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources, Span};

use super::builtin::{Head, bert};
use super::{BertConfig, Parameter, ParameterTable, header, naming};

/// What is known of a model folder before its weights are read.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// Its configuration.
    pub config: BertConfig,
    /// The parameters that the model will have, head included.
    pub table: ParameterTable,
    /// Parameters that the file lacks; the head of a bare encoder, which will be new.
    pub missing_head: Vec<String>,
}

/// Reads `config.json` and the header of `model.safetensors` and checks that every tensor of
/// the encoder is there with the shape that the configuration says.
///
/// # Errors
/// One diagnostic for each thing that is wrong with the folder.
pub fn read(path: &Path, sources: &mut Sources) -> Result<ModelFolder, Vec<Diagnostic>> {
    if !path.is_dir() {
        return Err(vec![not_a_folder(path)]);
    }
    let config = read_config(path, sources).map_err(|d| vec![d])?;
    let file = path.join("model.safetensors");
    let tensors = header::read(&file).map_err(|d| vec![d])?;
    let found: Vec<(String, header::TensorHeader)> =
        tensors.into_iter().filter_map(|t| Some((naming::canonical(&t.name)?, t))).collect();
    let table = bert(&config.shape(), Head::QuestionAnswering);
    let mut wrong = Vec::new();
    let mut missing_head = Vec::new();
    for parameter in table.iter() {
        match found.iter().find(|(name, _)| *name == parameter.name) {
            None if !parameter.name.starts_with("bert.") => missing_head.push(parameter.name.clone()),
            None => wrong.push(missing(&file, parameter)),
            Some((_, tensor)) => wrong.extend(mismatch(&file, parameter, tensor)),
        }
    }
    if wrong.is_empty() {
        Ok(ModelFolder { path: path.to_owned(), config, table, missing_head })
    } else {
        Err(wrong)
    }
}

/// Reads and checks `config.json`.
///
/// # Errors
/// A diagnostic that points into the file where it is not the configuration of a BERT.
pub fn read_config(folder: &Path, sources: &mut Sources) -> Result<BertConfig, Diagnostic> {
    let path = folder.join("config.json");
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Diagnostic::unlocated(Code::ModelNotFound, format!("cannot read `{shown}`: {e}"))
            .help("a model folder holds config.json, model.safetensors and tokenizer.json or vocab.txt")
    })?;
    let file = sources.add(shown.clone(), text.clone());
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| {
        let at = offset_of(&text, e.line(), e.column());
        let span = Span::new(file, at..at + 1);
        Diagnostic::error(Code::ModelNotReadable, "config.json is not JSON", span, e.to_string())
            .help("download the file again, or compare it with the original")
    })?;
    let whole = Span::new(file, 0..text.len().min(1));
    let model_type = value.get("model_type").and_then(|v| v.as_str()).unwrap_or("").to_owned();
    let not_a_bert = |why: String| {
        let at = text.find("\"model_type\"").map_or(whole, |at| Span::new(file, at..at + 12));
        Diagnostic::error(Code::NotABert, format!("`{shown}` is not a BERT this engine knows"), at, why)
            .help("obert compresses models whose `model_type` is `bert`: BERT, MiniLM and their kin")
    };
    if model_type != "bert" {
        return Err(not_a_bert(format!("`model_type` is `{model_type}`")));
    }
    let config: BertConfig = serde_json::from_value(value).map_err(|e| not_a_bert(e.to_string()))?;
    match config.unsupported() {
        Some(why) => Err(not_a_bert(why)),
        None => Ok(config),
    }
}

fn not_a_folder(path: &Path) -> Diagnostic {
    let what = if path.exists() { "is a file, not a model folder" } else { "does not exist" };
    Diagnostic::unlocated(Code::ModelNotFound, format!("the model `{}` {what}", path.display())).help(
        "give a Hugging Face folder with config.json, model.safetensors and tokenizer.json or vocab.txt",
    )
}

fn missing(file: &Path, parameter: &Parameter) -> Diagnostic {
    Diagnostic::unlocated(
        Code::TensorMissing,
        format!("`{}` lacks the tensor `{}`", file.display(), parameter.name),
    )
    .help("does config.json belong to this file? the number of layers decides which tensors are needed")
}

fn mismatch(file: &Path, parameter: &Parameter, tensor: &header::TensorHeader) -> Option<Diagnostic> {
    if tensor.shape != parameter.shape {
        return Some(
            Diagnostic::unlocated(
                Code::TensorShape,
                format!(
                    "`{}` in `{}` has the shape {:?}; config.json asks for {:?}",
                    tensor.name,
                    file.display(),
                    tensor.shape,
                    parameter.shape
                ),
            )
            .help("does config.json belong to this file?"),
        );
    }
    (!matches!(tensor.dtype.as_str(), "F32" | "F16" | "BF16")).then(|| {
        Diagnostic::unlocated(
            Code::TensorType,
            format!("`{}` in `{}` has the type {}", tensor.name, file.display(), tensor.dtype),
        )
        .help("weights must be F32, F16 or BF16")
    })
}

/// The byte offset of serde_json's line and column.
pub(crate) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len().saturating_sub(1))
}
