//! Checks the tensors of a model folder against its configuration.

use std::collections::HashMap;
use std::path::Path;

use crate::diag::{Code, Diagnostic, counted};

use super::architecture::LayerKind;
use super::builtin::Head;
use super::config_file::{ConfigFile, few};
use super::head::PROBLEMS;
use super::header::TensorHeader;
use super::table::layer_of;
use super::{Family, Parameter};

/// Tensors by their current names, with their files.
pub(super) type Found<'a> = HashMap<String, (&'a Path, TensorHeader)>;

/// The task head of a folder.
pub(super) struct HeadFound {
    /// The head, if there is one of a known kind.
    pub head: Option<Head>,
    /// Why it cannot be used, if it cannot.
    pub unusable: Option<Diagnostic>,
}

/// Tasks whose heads have the parameters of a sequence classifier, by the suffix of their classes.
const OTHER_TASKS: &[(&str, &str)] = &[
    ("ForMultipleChoice", "a choice between several texts"),
    ("ForNextSentencePrediction", "whether one sentence follows another"),
];

/// The end of the classes of token classification.
const TOKENS: &str = "ForTokenClassification";

const HEADS: &str =
    "heads are those of question answering, sequence and token classification, and masked language models";

/// The largest number of diagnostics of one kind that are listed.
const LISTED: usize = 3;

/// Finds the head by the parameters that the folder has.
pub(super) fn head(file: &ConfigFile, found: &Found) -> HeadFound {
    let family = file.config.family();
    let tensor = |bert: &str| found.get(&family.name(bert)).map(|(_, tensor)| tensor);
    let class = file.config.architectures.first().map_or("", String::as_str);
    // Some families call the last layer of every head the same.
    let shared = family.name("qa_outputs.weight") == family.name("classifier.weight");
    if tensor("qa_outputs.weight").is_some() && (!shared || class.ends_with("ForQuestionAnswering")) {
        return HeadFound { head: Some(Head::QuestionAnswering), unusable: None };
    }
    let other = OTHER_TASKS.iter().find(|(end, _)| class.ends_with(end));
    if let Some((_, what)) = other {
        let unusable = Diagnostic::error(
            Code::ConfigUnsupported,
            format!("`architectures` is `{class}`, whose head obert does not have"),
            file.at("architectures"),
            *what,
        )
        .help(HEADS);
        return HeadFound { head: None, unusable: Some(unusable) };
    }
    let of_tokens = tensor("token_classifier.weight");
    // BERT's classifiers of texts and of tokens have one name, and old checkpoints of both have a pooler.
    let is_of_tokens = class.ends_with(TOKENS)
        || !class.ends_with("ForSequenceClassification") && tensor("bert.pooler.dense.weight").is_none();
    if let Some(classifier) = of_tokens.filter(|_| is_of_tokens) {
        let labels = classifier.shape.first().copied().unwrap_or(0);
        let unusable = names_fault(file, labels);
        return HeadFound { head: Some(Head::TokenClassification { labels }), unusable };
    }
    if let Some(classifier) = tensor("classifier.weight") {
        let labels = classifier.shape.first().copied().unwrap_or(0);
        if tensor("bert.pooler.dense.weight").is_none() {
            let (own, first) = (family.name("classifier.weight"), family.name("bert.pooler.dense.weight"));
            let unusable = Diagnostic::error(
                Code::ConfigUnsupported,
                format!("the weights hold `{own}` without `{first}`"),
                file.at("architectures"),
                "half a classifier of texts",
            )
            .help(HEADS);
            return HeadFound { head: None, unusable: Some(unusable) };
        }
        let problem = file.config.rest.get("problem_type").and_then(|v| v.as_str());
        // As in `transformers`, one output is regression, whatever `problem_type` says.
        let head = match problem {
            _ if labels == 1 => Head::Regression,
            Some(problem) if problem == PROBLEMS[2] => Head::Regression,
            Some(problem) if problem == PROBLEMS[1] => Head::MultiLabel { labels },
            _ => Head::Classification { labels },
        };
        let unusable = outputs_fault(file, head, labels);
        // A folder with an unusable head can still be used for its encoder. So that its tensors match the table, the
        // head gets as many outputs as the file has.
        let head =
            if head == Head::Regression && labels != 1 { Head::Classification { labels } } else { head };
        return HeadFound { head: Some(head), unusable };
    }
    match tensor("cls.predictions.bias") {
        Some(_) => HeadFound { head: Some(Head::MaskedLanguageModel), unusable: untied(file) },
        None => HeadFound { head: None, unusable: None },
    }
}

/// The error for a head of another task, such as a sequence classifier where a token classifier is needed, if the
/// parameters of both have the same names. `None` if the head in the file can be replaced by a new one.
pub(super) fn same_names(wanted: Head, held: Head, file: &ConfigFile) -> Option<Diagnostic> {
    let of = |head: Head| match head {
        Head::QuestionAnswering => Some(("qa_outputs.weight", "answers")),
        Head::TokenClassification { .. } => Some(("token_classifier.weight", "tokens")),
        Head::Embedding | Head::MaskedLanguageModel => None,
        _ => head.text_outputs().map(|_| ("classifier.weight", "texts")),
    };
    let ((name, own), (held_name, other)) = (of(wanted)?, of(held)?);
    let family = file.config.family();
    (name != held_name && family.name(name) == family.name(held_name)).then(|| {
        Diagnostic::error(
            Code::ConfigUnsupported,
            format!("the model has a classifier of {other}; the task needs one of {own}"),
            file.at("architectures"),
            "both have the same names, so it would be taken for the other",
        )
        .help("give a model for this task, or one without a classifier, which gets a new one")
    })
}

/// The error for a sequence classifier whose outputs mean something else than the task needs.
pub(super) fn other_problem(wanted: Head, held: Head, file: &ConfigFile) -> Option<Diagnostic> {
    if std::mem::discriminant(&wanted) == std::mem::discriminant(&held) {
        return None;
    }
    let meaning = |head: Head| match head {
        Head::Regression => "a score (regression)",
        Head::MultiLabel { .. } => "any number of labels (multi-label classification)",
        _ => "one label of several",
    };
    let named = ["problem_type", "num_labels", "id2label", "architectures"].into_iter().find(|k| file.has(k));
    Some(
        Diagnostic::error(
            Code::ConfigUnsupported,
            format!("the model's classifier gives {}; the task needs {}", meaning(held), meaning(wanted)),
            file.at(named.unwrap_or("architectures")),
            "its outputs would be taken for something else",
        )
        .help("give a model for this task, or one without a classifier, which gets a new one"),
    )
}

/// The error for a language model whose output matrix is not tied to its word embeddings.
pub(super) fn untied(file: &ConfigFile) -> Option<Diagnostic> {
    let tied = file.config.rest.get("tie_word_embeddings").and_then(|v| v.as_bool()).unwrap_or(true);
    (!tied).then(|| {
        Diagnostic::error(
            Code::ConfigUnsupported,
            "the language model has a last matrix apart from its word embeddings",
            file.at("tie_word_embeddings"),
            "only `true` is computed",
        )
        .help("give a language model that shares them, or use this one for another task")
    })
}

/// The error for a configuration that does not fit a classifier of texts with `outputs` outputs; `None` if it fits.
fn outputs_fault(file: &ConfigFile, head: Head, outputs: usize) -> Option<Diagnostic> {
    if head == Head::Regression {
        return (outputs != 1).then(|| {
            Diagnostic::error(
                Code::ConfigUnsupported,
                format!("`problem_type` is `{}` with {outputs} outputs", PROBLEMS[2]),
                file.at("problem_type"),
                "several numbers for a text",
            )
            .help(
                "obert computes regression with one output; for another task, give a model without this head",
            )
        });
    }
    names_fault(file, outputs)
}

/// The error for names of labels that do not fit a classifier with `outputs` outputs; `None` if they fit.
fn names_fault(file: &ConfigFile, outputs: usize) -> Option<Diagnostic> {
    let rest = &file.config.rest;
    let malformed = |message: String, key: &str, label: String| {
        Diagnostic::error(Code::ConfigMalformed, message, file.at(key), label)
            .help("compare config.json with the original: wrong names would be given to the outputs")
    };
    let Some(names) = rest.get("id2label").and_then(|v| v.as_object()) else {
        let said = rest.get("num_labels").and_then(|v| v.as_u64()).filter(|said| *said != outputs as u64);
        return said.map(|said| {
            let outputs_are = counted(outputs, "output", "outputs");
            let message = format!("`num_labels` is {said}; the classifier has {outputs_are}");
            malformed(message, "num_labels", format!("{outputs} is expected"))
        });
    };
    if names.len() != outputs {
        let message = format!(
            "`id2label` names {}; the classifier has {}",
            counted(names.len(), "label", "labels"),
            counted(outputs, "output", "outputs")
        );
        let expected = counted(outputs, "name is expected", "names are expected");
        return Some(malformed(message, "id2label", expected));
    }
    if let Some(lost) = (0..outputs).find(|i| names.get(&i.to_string()).is_none_or(|name| !name.is_string()))
    {
        let message = format!("`id2label` gives no name to output {lost}");
        return Some(malformed(message, "id2label", format!("numbers from 0 to {}", outputs - 1)));
    }
    let numbers = rest.get("label2id").and_then(|v| v.as_object())?;
    let number = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    names.iter().find_map(|(id, name)| {
        let said = numbers.get(name.as_str()?)?;
        (number(said) != id.parse().ok()).then(|| {
            let message = format!("`id2label` gives {name} to output {id}, `label2id` to output {said}");
            malformed(message, "label2id", "the other way round it is different".to_owned())
                .and_at(file.at("id2label"), "here")
        })
    })
}

/// One error for each size that differs between the configuration and the tensors, located in the configuration.
pub(super) fn sizes(file: &ConfigFile, found: &Found) -> Vec<Diagnostic> {
    let config = &file.config;
    let family = config.family();
    let table = |name: &str| format!("bert.embeddings.{name}_embeddings.weight");
    let up = || "bert.encoder.layer.0.intermediate.dense.weight".to_owned();
    let architecture = config.architecture();
    let (width, gated) = (architecture.embedding, architecture.layers == LayerKind::PreNormGated);
    // The width of the embeddings is `embedding_size` in families that have this key, else `hidden_size`.
    let embedding = if family.assumed_sizes().any(|(key, _)| key == "embedding_size") {
        "embedding_size"
    } else {
        "hidden_size"
    };
    let mut wrong = Vec::new();
    for (key, said, name, axis) in [
        ("vocab_size", config.vocab_size, table("word"), 0),
        (embedding, width, table("word"), 1),
        ("max_position_embeddings", config.max_position_embeddings, table("position"), 0),
        ("type_vocab_size", config.type_vocab_size, table("token_type"), 0),
        ("intermediate_size", config.intermediate_size, up(), 0),
        ("hidden_size", config.hidden_size, if embedding == "hidden_size" { String::new() } else { up() }, 1),
    ] {
        let name = family.name(&name);
        let Some((_, tensor)) = found.get(&name) else { continue };
        let real = tensor.shape.get(axis).copied().unwrap_or(0);
        // The first matrix of a gated network is two stacked matrices, each with `intermediate_size` rows.
        let parts = if key == "intermediate_size" && gated { 2 } else { 1 };
        let (own, real) = (file.name(key), real / parts);
        if tensor.shape.len() != 2 || real == said {
            continue;
        }
        let message = format!("`{own}` is {said}; `{name}` has the shape {:?}", tensor.shape);
        let label = if file.has(key) { "config.json says" } else { "config.json leaves it out" };
        wrong
            .push(Diagnostic::error(Code::TensorShape, message, file.at(key), label).help(format!(
                "does config.json belong to this file? if it does, write `\"{own}\": {real}`"
            )));
    }
    let layers = found.keys().filter(|name| family.is_encoder(name)).filter_map(|name| layer_of(name));
    let layers = layers.map(|(_, layer, _)| layer.saturating_add(1)).max().unwrap_or(0);
    if layers > 0 && layers < architecture.distinct_layers() {
        let own = file.name("num_hidden_layers");
        let held = counted(layers, "layer", "layers");
        let message = format!("`{own}` is {}; the weights hold {held}", config.num_hidden_layers);
        wrong.push(
            Diagnostic::error(Code::TensorMissing, message, file.at("num_hidden_layers"), "config.json says")
                .help(format!(
                    "does config.json belong to this file? if it does, write `\"{own}\": {layers}`"
                )),
        );
    }
    wrong
}

/// One error for all parameters of the encoder that no file holds.
pub(super) fn missing(folder: &Path, family: Family, names: &[String], found: &Found) -> Option<Diagnostic> {
    let message = match names {
        [] => return None,
        [one] => format!("the model `{}` lacks the tensor `{one}`", folder.display()),
        many => format!("the model `{}` lacks {} tensors: {}", folder.display(), many.len(), few(names)),
    };
    let mut others: Vec<String> = found.keys().map(|name| format!("`{name}`")).collect();
    others.sort();
    others.truncate(LISTED);
    let foreign = !found.keys().any(|name| family.is_encoder(name));
    Some(Diagnostic::unlocated(Code::TensorMissing, message).help(match foreign && !others.is_empty() {
        true => format!("the files hold {}: are they of this architecture?", others.join(", ")),
        false => "does config.json belong to this file? compare both with the original".to_owned(),
    }))
}

/// The error for a tensor of another shape or an unsupported dtype.
pub(super) fn mismatch(file: &Path, parameter: &Parameter, tensor: &TensorHeader) -> Option<Diagnostic> {
    if tensor.shape != parameter.shape {
        let message = format!(
            "`{}` in `{}` has the shape {:?}; config.json asks for {:?}",
            tensor.name,
            file.display(),
            tensor.shape,
            parameter.shape
        );
        return Some(
            Diagnostic::unlocated(Code::TensorShape, message).help("does config.json belong to this file?"),
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

/// The first [`LISTED`] diagnostics of each code, the last of them with the number of the others in its message.
pub(super) fn first_of_each(list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut kept: Vec<(Diagnostic, usize)> = Vec::new();
    for diagnostic in list {
        let alike = kept.iter().filter(|(d, _)| d.code == diagnostic.code).count();
        match kept.iter_mut().rev().find(|(d, _)| d.code == diagnostic.code) {
            Some((_, more)) if alike == LISTED => *more += 1,
            _ => kept.push((diagnostic, 0)),
        }
    }
    let finish = |(mut diagnostic, more): (Diagnostic, usize)| {
        if more > 0 {
            let others = counted(more, "other tensor has an error", "other tensors have errors");
            diagnostic.message.push_str(&format!("; {others} of the same kind"));
        }
        diagnostic
    };
    kept.into_iter().map(finish).collect()
}
