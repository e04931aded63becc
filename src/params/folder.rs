//! A model folder's configuration and parameter table, from headers only.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources};

use super::builtin::{Head, of_family};
use super::config_file::ConfigFile;
use super::naming::Names;
use super::{BertConfig, Family, ParameterTable, files, header, weights};

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
    /// What the files call their tensors.
    pub names: Names,
    /// Why the head that the files hold cannot be used, such as one for regression.
    pub unusable_head: Option<Diagnostic>,
    /// What a user should know of how it was read.
    pub notes: Vec<String>,
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
        let config = ConfigFile::read(path, sources, || None)?.config;
        return Ok(of_family(config.family(), &config.shape(), Head::QuestionAnswering));
    }
    read(path, sources).map(|folder| folder.table)
}

/// Reads `config.json` and the headers of the weight files and checks that every tensor of the
/// encoder is there with the shape that the configuration says. What the files lack of `head`
/// will be new.
///
/// # Errors
/// One diagnostic for each thing that is wrong with the folder; of many tensors alike, the first ones.
pub fn read_with_head(
    path: &Path,
    head: Option<Head>,
    sources: &mut Sources,
) -> Result<ModelFolder, Vec<Diagnostic>> {
    if !path.is_dir() {
        return Err(vec![not_a_folder(path)]);
    }
    let file = ConfigFile::read(path, sources, || family_of_weights(path))?;
    let family = file.config.family();
    let files = files::weights(path).map_err(|d| vec![d])?;
    let mut tensors = Vec::new();
    for weights in &files {
        let headers = header::read(weights).map_err(|d| vec![d])?;
        tensors.extend(headers.into_iter().map(|tensor| (weights.as_path(), tensor)));
    }
    let names = Names::of(family, tensors.iter().map(|(_, tensor)| tensor.name.as_str()));
    let known =
        |(file, tensor): (_, header::TensorHeader)| Some((names.canonical(&tensor.name)?, (file, tensor)));
    let found: weights::Found = tensors.into_iter().filter_map(known).collect();
    let held = weights::head(&file, &found);
    let mut wrong = weights::sizes(&file, &found);
    let unusable = match (head, held.head) {
        (Some(Head::MaskedLanguageModel), _) => weights::untied(&file),
        (Some(Head::Classification { .. }), Some(Head::Classification { .. }) | None) => {
            held.unusable.clone()
        }
        _ => None,
    };
    wrong.extend(unusable);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let head = head.or(held.head).unwrap_or(Head::QuestionAnswering);
    let table = of_family(family, &file.config.shape(), head);
    let classifier = ["weight", "bias"].map(|last| family.name(&format!("classifier.{last}")));
    let rows = found.get(&classifier[0]).and_then(|(_, tensor)| tensor.shape.first().copied());
    // The labels that the file has and that are wanted, if they differ.
    let differs = match (head, rows) {
        (Head::Classification { labels }, Some(rows)) if rows != labels => Some((rows, labels)),
        _ => None,
    };
    let (mut lost, mut missing_head) = (Vec::new(), Vec::new());
    for parameter in table.iter() {
        let encoder = family.is_encoder(&parameter.name);
        match found.get(&parameter.name) {
            None if !encoder => missing_head.push(parameter.name.clone()),
            None => lost.push(parameter.name.clone()),
            // A classifier of other labels is one mistake, not one for each of its parameters.
            Some((file, _)) if classifier.contains(&parameter.name) && differs.is_some() => {
                if let (Some((has, wanted)), true) = (differs, parameter.name == classifier[0]) {
                    wrong.push(other_labels(file, has, wanted));
                }
            }
            Some((file, tensor)) => wrong.extend(weights::mismatch(file, parameter, tensor)),
        }
    }
    wrong.extend(weights::missing(path, &lost, &found));
    if !wrong.is_empty() {
        return Err(weights::first_of_each(wrong));
    }
    let mut notes = file.notes.clone();
    notes.extend(
        names.prefix().map(|prefix| format!("the tensors' names begin with `{prefix}`, which is left out")),
    );
    Ok(ModelFolder {
        path: path.to_owned(),
        config: file.config,
        table,
        missing_head,
        files,
        names,
        unusable_head: held.unusable,
        notes,
    })
}

/// The family by the names of a folder's tensors and files.
fn family_of_weights(path: &Path) -> Option<Family> {
    let files = files::weights(path).ok()?;
    let names: Vec<String> =
        files.iter().filter_map(|file| header::read(file).ok()).flatten().map(|tensor| tensor.name).collect();
    let has = |part: &str| names.iter().any(|name| name.split('.').any(|segment| segment == part));
    let named = [Family::DistilBert, Family::Roberta, Family::Bert].into_iter().find(|f| has(f.model_type()));
    let bare = || match (has("q_lin"), has("query"), path.join("merges.txt").exists()) {
        (true, ..) => Some(Family::DistilBert),
        (_, true, true) => Some(Family::Roberta),
        (_, true, false) => Some(Family::Bert),
        _ => None,
    };
    named.or_else(bare)
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
/// The first of the diagnostics that point into the file where it cannot be followed.
pub fn read_config(folder: &Path, sources: &mut Sources) -> Result<BertConfig, Diagnostic> {
    let read = ConfigFile::read(folder, sources, || family_of_weights(folder));
    read.map(|file| file.config).map_err(|mut wrong| wrong.swap_remove(0))
}

fn not_a_folder(path: &Path) -> Diagnostic {
    let what = if path.exists() { "is a file, not a model folder" } else { "does not exist" };
    Diagnostic::unlocated(Code::ModelNotFound, format!("the model `{}` {what}", path.display())).help(
        "give a Hugging Face folder with config.json, model.safetensors and tokenizer.json or vocab.txt",
    )
}
