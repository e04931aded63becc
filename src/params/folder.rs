//! A model folder's configuration and parameter table, from headers only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources, Span};

use super::builtin::{Head, of_family};
use super::{BertConfig, Family, Parameter, ParameterTable, files, header, naming};

/// What is known of a model folder before its weights are read.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// Its configuration.
    pub config: BertConfig,
    /// The parameters that the model will have, head included.
    pub table: ParameterTable,
    /// Parameters that the files lack; the head of a bare encoder, which will be new.
    pub missing_head: Vec<String>,
    /// The files that hold the weights.
    pub files: Vec<PathBuf>,
}

/// Reads a folder for the head it has; for question answering if it has none.
///
/// # Errors
/// One diagnostic for each thing that is wrong with the folder.
pub fn read(path: &Path, sources: &mut Sources) -> Result<ModelFolder, Vec<Diagnostic>> {
    read_with_head(path, None, sources)
}

/// The parameters of a model in a cache: from its headers, or from its configuration alone where the
/// cache holds no weights yet.
///
/// # Errors
/// One diagnostic for each thing that is wrong with the folder.
pub fn cached(path: &Path, sources: &mut Sources) -> Result<ParameterTable, Vec<Diagnostic>> {
    if !files::are_there(path) {
        let config = read_config(path, sources).map_err(|d| vec![d])?;
        return Ok(of_family(config.family(), &config.shape(), Head::QuestionAnswering));
    }
    read(path, sources).map(|folder| folder.table)
}

/// Reads `config.json` and the headers of the weight files and checks that every tensor of the
/// encoder is there with the shape that the configuration says. What the files lack of `head`
/// will be new.
///
/// # Errors
/// One diagnostic for each thing that is wrong with the folder.
pub fn read_with_head(
    path: &Path,
    head: Option<Head>,
    sources: &mut Sources,
) -> Result<ModelFolder, Vec<Diagnostic>> {
    if !path.is_dir() {
        return Err(vec![not_a_folder(path)]);
    }
    let config = read_config(path, sources).map_err(|d| vec![d])?;
    let family = config.family();
    let files = files::weights(path).map_err(|d| vec![d])?;
    let mut found: HashMap<String, (&Path, header::TensorHeader)> = HashMap::new();
    for file in &files {
        for tensor in header::read(file).map_err(|d| vec![d])? {
            if let Some(name) = naming::canonical_in(family, &tensor.name) {
                found.insert(name, (file.as_path(), tensor));
            }
        }
    }
    let head = head.unwrap_or_else(|| head_of(family, &found));
    let table = of_family(family, &config.shape(), head);
    let classifier = ["weight", "bias"].map(|last| family.name(&format!("classifier.{last}")));
    let rows = found.get(&classifier[0]).and_then(|(_, tensor)| tensor.shape.first().copied());
    // The labels that the file has and that are wanted, if they differ.
    let differs = match (head, rows) {
        (Head::Classification { labels }, Some(rows)) if rows != labels => Some((rows, labels)),
        _ => None,
    };
    let mut wrong = Vec::new();
    let mut missing_head = Vec::new();
    for parameter in table.iter() {
        let encoder = family.is_encoder(&parameter.name);
        match found.get(&parameter.name) {
            None if !encoder => missing_head.push(parameter.name.clone()),
            None => wrong.push(missing(path, parameter)),
            // A classifier of other labels is one mistake, not one for each of its parameters.
            Some((file, _)) if classifier.contains(&parameter.name) && differs.is_some() => {
                if let (Some((has, wanted)), true) = (differs, parameter.name == classifier[0]) {
                    wrong.push(other_labels(file, has, wanted));
                }
            }
            Some((file, tensor)) => wrong.extend(mismatch(file, parameter, tensor)),
        }
    }
    if wrong.is_empty() {
        Ok(ModelFolder { path: path.to_owned(), config, table, missing_head, files })
    } else {
        Err(wrong)
    }
}

/// The head whose parameters are there.
fn head_of(family: Family, found: &HashMap<String, (&Path, header::TensorHeader)>) -> Head {
    let has = |bert: &str| found.contains_key(&family.name(bert));
    let labels = found.get(&family.name("classifier.weight")).and_then(|(_, tensor)| tensor.shape.first());
    match labels {
        _ if has("qa_outputs.weight") => Head::QuestionAnswering,
        Some(labels) => Head::Classification { labels: *labels },
        None if has("cls.predictions.bias") => Head::MaskedLanguageModel,
        None => Head::QuestionAnswering,
    }
}

fn other_labels(file: &Path, has: usize, wanted: usize) -> Diagnostic {
    Diagnostic::unlocated(
        Code::LabelsDiffer,
        format!("the classifier of `{}` has {has} outputs; the data has {wanted} labels", file.display()),
    )
    .help("give a model that was trained for this data, or one without a classifier, which gets a new one")
}

/// Reads and checks `config.json`.
///
/// # Errors
/// A diagnostic that points into the file where it is not the configuration of a known family.
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
            .help("obert compresses models whose `model_type` is `bert`, `roberta` or `distilbert`")
    };
    if Family::named(&model_type).is_none() {
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

fn missing(folder: &Path, parameter: &Parameter) -> Diagnostic {
    Diagnostic::unlocated(
        Code::TensorMissing,
        format!("the model `{}` lacks the tensor `{}`", folder.display(), parameter.name),
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
