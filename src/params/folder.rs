//! Reads the configuration and the parameter table of a model folder, without its weights.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources, counted};

use super::builtin::{self, Head};
use super::config_file::ConfigFile;
use super::naming::Names;
use super::{BertConfig, Family, ParameterTable, files, header, sentence_modules, weights};

/// A model folder, with its weights unread.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// Its configuration.
    pub config: BertConfig,
    /// The head that it was read with.
    pub head: Head,
    /// The parameters of the model, including its head.
    pub table: ParameterTable,
    /// Parameters of the head that the files lack, and that have to be initialized.
    pub missing_head: Vec<String>,
    /// The weight files.
    pub files: Vec<PathBuf>,
    /// The names of the tensors in the files.
    pub names: Names,
    /// Why the head in the files cannot be used, such as one for regression.
    pub unusable_head: Option<Diagnostic>,
    /// Notes for the user on how the folder was read.
    pub notes: Vec<String>,
}

/// Reads a folder with the head that its files hold. If they hold none, a folder of sentence-transformers is read without
/// a head, any other for question answering.
///
/// # Errors
/// One diagnostic for each thing that is wrong with the folder.
pub fn read(path: &Path, sources: &mut Sources) -> Result<ModelFolder, Vec<Diagnostic>> {
    read_with_head(path, None, sources)
}

/// The parameters of a cached model: from its headers, or from its configuration if the cache holds no weights yet.
///
/// # Errors
/// One diagnostic for each thing that is wrong with the folder.
pub fn cached(path: &Path, sources: &mut Sources) -> Result<ParameterTable, Vec<Diagnostic>> {
    if !files::are_there(path) {
        let config = ConfigFile::read(path, sources, || None)?.config;
        return Ok(builtin::table(&config.architecture(), Head::QuestionAnswering));
    }
    read(path, sources).map(|folder| folder.table)
}

/// Reads `config.json` and the headers of the weight files, and checks that every tensor of the encoder exists with the
/// shape of the configuration. Parameters of `head` that the files lack are [`ModelFolder::missing_head`].
///
/// # Errors
/// One diagnostic for each thing that is wrong with the folder; of the same fault in many tensors, the first ones.
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
        (Some(wanted), None) if wanted.text_outputs().is_some() => held.unusable.clone(),
        (Some(wanted), Some(other)) if std::mem::discriminant(&wanted) == std::mem::discriminant(&other) => {
            held.unusable.clone()
        }
        (Some(wanted), Some(other)) if wanted.text_outputs().and(other.text_outputs()).is_some() => {
            held.unusable.clone().or_else(|| weights::other_problem(wanted, other, &file))
        }
        (Some(wanted), Some(other)) => weights::same_names(wanted, other, &file),
        _ => None,
    };
    wrong.extend(unusable);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let embeds = || path.join(sentence_modules::FILE).exists().then_some(Head::Embedding);
    let head = head.or(held.head).or_else(embeds).unwrap_or(Head::QuestionAnswering);
    let table = builtin::table(&file.config.architecture(), head);
    let module = match head {
        Head::TokenClassification { .. } => "token_classifier",
        _ => "classifier",
    };
    let classifier = ["weight", "bias"].map(|last| family.name(&format!("{module}.{last}")));
    let rows = found.get(&classifier[0]).and_then(|(_, tensor)| tensor.shape.first().copied());
    // The number of labels in the file and the wanted one, if they differ.
    let labels = match head {
        Head::TokenClassification { labels } => Some(labels),
        other => other.text_outputs(),
    };
    let differs = rows.zip(labels).filter(|(rows, labels)| rows != labels);
    let (mut lost, mut missing_head) = (Vec::new(), Vec::new());
    for parameter in table.iter() {
        let encoder = family.is_encoder(&parameter.name);
        match found.get(&parameter.name) {
            None if !encoder => missing_head.push(parameter.name.clone()),
            None => lost.push(parameter.name.clone()),
            // A different number of labels is one fault, not one for each parameter of the classifier.
            Some((file, _)) if classifier.contains(&parameter.name) && differs.is_some() => {
                if let (Some((has, wanted)), true) = (differs, parameter.name == classifier[0]) {
                    wrong.push(other_labels(file, has, wanted));
                }
            }
            Some((file, tensor)) => wrong.extend(weights::mismatch(file, parameter, tensor)),
        }
    }
    wrong.extend(weights::missing(path, family, &lost, &found));
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
        head,
        table,
        missing_head,
        files,
        names,
        unusable_head: held.unusable,
        notes,
    })
}

/// Guesses the family from the names of a folder's tensors and files.
fn family_of_weights(path: &Path) -> Option<Family> {
    let files = files::weights(path).ok()?;
    let names: Vec<String> =
        files.iter().filter_map(|file| header::read(file).ok()).flatten().map(|tensor| tensor.name).collect();
    let has = |tensor: &str| {
        let ends =
            |name: &String| name.strip_suffix(tensor).is_some_and(|p| p.is_empty() || p.ends_with('.'));
        names.iter().any(ends)
    };
    let bare = |name: &str, family: Family| name[family.prefix().len() + 1..].to_owned();
    let words = |family: Family| family.name("bert.embeddings.word_embeddings.weight");
    let query = |family: Family| family.name("bert.encoder.layer.0.attention.self.query.weight");
    let named = Family::ALL.into_iter().find(|family| has(&words(*family)));
    // Without a prefix, BERT and RoBERTa have the same names.
    let found = named.or_else(|| {
        Family::ALL.into_iter().find(|f| has(&bare(&words(*f), *f)) && has(&bare(&query(*f), *f)))
    });
    let unigram = ["sentencepiece.bpe.model", "spiece.model"].iter().any(|file| path.join(file).exists());
    match (found?, path.join("merges.txt").exists(), unigram) {
        (Family::Bert, true, _) if named.is_none() => Some(Family::Roberta),
        (Family::Roberta, _, true) => Some(Family::XlmRoberta),
        (family, ..) => Some(family),
    }
}

/// The error for a classifier with another number of outputs than the data has labels.
fn other_labels(file: &Path, has: usize, wanted: usize) -> Diagnostic {
    Diagnostic::unlocated(
        Code::LabelsDiffer,
        format!(
            "the classifier of `{}` has {}; the data has {}",
            file.display(),
            counted(has, "output", "outputs"),
            counted(wanted, "label", "labels")
        ),
    )
    .help("give a model that was trained for this data, or one without a classifier, which gets a new one")
}

/// Reads and checks `config.json`.
///
/// # Errors
/// The first diagnostic of [`ConfigFile::read`].
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
