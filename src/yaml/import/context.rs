//! Finds the settings that a SparseML recipe leaves out: its name, the model, the data and the batch size.

use std::path::Path;

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::params::ParameterTable;
use crate::params::builtin::{Head, well_known_table};
use crate::yaml::recipe::{Collected, Datum, Fields};

use super::draft::{Draft, Line};
use super::metadata;
use super::options::Options;

/// The settings of the run.
#[derive(Debug)]
pub(super) struct Context {
    /// The recipe's name, made from the file's.
    pub(super) name: String,
    /// The key of the first group, for messages.
    pub(super) first: Span,
    /// The parameters of the model, if they are known.
    pub(super) table: Option<ParameterTable>,
    /// The parameters that the caller gave.
    pub(super) given: Option<ParameterTable>,
    pub(super) model: String,
    /// Whether the model is an assumption, because neither the recipe nor the caller names one.
    pub(super) model_is_assumed: bool,
    data: String,
    batch: Option<(String, Span)>,
    seed: Option<(String, Span)>,
    metadata: Vec<String>,
}

impl Context {
    /// Takes the settings from `options`, else from `__metadata__`, else assumes them and reports that.
    pub(super) fn of(
        name: &str,
        collected: &Collected,
        fields: &[Fields],
        options: &Options,
        findings: &mut Findings,
    ) -> Self {
        let stem = Path::new(name).file_stem().map_or("recipe".into(), |s| s.to_string_lossy().into_owned());
        let named_model = options
            .model
            .map(str::to_owned)
            .or_else(|| metadata::word(collected, "model", |c| !c.is_control() && c != '"' && c != '\\'));
        let of_data = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '(' | ')' | ':' | ',' | ' ');
        let named_data =
            options.data.map(str::to_owned).or_else(|| metadata::word(collected, "data", of_data));
        let assumed = named_model.is_none() || named_data.is_none();
        let model_is_assumed = named_model.is_none() && options.parameters.is_none();
        let model = named_model.unwrap_or_else(|| "bert-base-uncased".to_owned());
        let data = named_data.unwrap_or_else(|| infer_data(&stem, fields).to_owned());
        if assumed {
            findings.push(
                Diagnostic::advice(
                    Code::Assumed,
                    "a SparseML recipe sets neither model nor data",
                    collected.first,
                    format!("`{model}` and `{data}` are assumed"),
                )
                .help("set them with `obertc import FILE --model NAME --data DATA`, or edit the two lines of the imported recipe"),
            );
        }
        let given = options.parameters.clone();
        let found = || options.find_model.and_then(|find| find(&model));
        let table = given.clone().or_else(found).or_else(|| well_known_table(&model, head(&data)));
        Context {
            name: identifier(&stem),
            first: collected.first,
            table,
            given,
            model,
            model_is_assumed,
            data,
            batch: metadata::number(collected, "per_device_train_batch_size").filter(|(n, _)| n != "0"),
            seed: metadata::number(collected, "seed"),
            metadata: metadata::comments(collected, findings),
        }
    }

    /// Writes the settings to the draft.
    pub(super) fn write(&self, draft: &mut Draft) {
        draft.settings.push(Line {
            parts: vec![(
                format!("model: \"{}\"", self.model.replace('\\', "\\\\").replace('"', "\\\"")),
                self.first,
            )],
            fields: vec![],
        });
        draft
            .settings
            .push(Line { parts: vec![(format!("data: {}", self.data), self.first)], fields: vec![] });
        if let Some((batch, at)) = &self.batch {
            draft.settings.push(Line::of(format!("batch: {batch}"), *at));
        }
        if let Some((seed, at)) = &self.seed {
            draft.settings.push(Line::of(format!("seed: {seed}"), *at));
        }
        draft.notes.extend(self.metadata.iter().cloned());
    }
}

/// Infers the data from the model outputs used in distillation, and from the file's name.
fn infer_data(stem: &str, fields: &[Fields]) -> &'static str {
    let outputs: Vec<&str> = fields
        .iter()
        .filter_map(|f| f.value("distill_output_keys"))
        .flat_map(|v| match v.peek() {
            Datum::List(items) => items.as_slice(),
            _ => &[],
        })
        .filter_map(|item| match item.peek() {
            Datum::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let stem = stem.to_lowercase();
    let named = [
        ("squad", "squad"),
        ("mnli", "mnli"),
        ("qqp", "qqp"),
        ("mlm", "masked_text"),
        ("pretrain", "masked_text"),
    ];
    let by_name = named.iter().find(|(word, _)| stem.contains(word)).map(|(_, data)| *data);
    if outputs.contains(&"start_logits") || outputs.contains(&"end_logits") {
        "squad"
    } else if outputs.contains(&"logits") {
        by_name.filter(|data| *data != "squad").unwrap_or("mnli")
    } else {
        by_name.unwrap_or("squad")
    }
}

/// The head of a model for its data.
fn head(data: &str) -> Head {
    match data {
        "mnli" => Head::Classification { labels: 3 },
        "qqp" => Head::Classification { labels: 2 },
        "masked_text" => Head::MaskedLanguageModel,
        _ => Head::QuestionAnswering,
    }
}

/// Makes an identifier from a file's name: `epochs30_dense` from `30epochs_dense`.
fn identifier(stem: &str) -> String {
    let words: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let digits = words.find(|c: char| !c.is_ascii_digit()).unwrap_or(words.len());
    let (number, rest) = words.split_at(digits);
    let rest = rest.trim_matches('_');
    if number.is_empty() {
        // Keywords after `recipe`, and the name of the root of branches.
        let taken = ["", "for", "extends", "from", "start"].contains(&rest);
        return if taken {
            format!("recipe_{}", if rest.is_empty() { "of_sparseml" } else { rest })
        } else {
            rest.to_owned()
        };
    }
    let first = rest.find('_').unwrap_or(rest.len());
    let (word, more) = rest.split_at(first);
    let word = if word.is_empty() { "recipe" } else { word };
    format!("{word}{number}{more}")
}

#[cfg(test)]
mod tests {
    use super::identifier;

    #[test]
    fn a_files_name_becomes_a_recipes() {
        assert_eq!(identifier("30epochs_dense_squad"), "epochs30_dense_squad");
        assert_eq!(identifier("my recipe-2"), "my_recipe_2");
        assert_eq!(identifier("42"), "recipe42");
        assert_eq!(identifier("for"), "recipe_for");
        assert_eq!(identifier("…"), "recipe_of_sparseml");
    }
}
