//! Prepares token classification from CoNLL files and tables.

use crate::diag::{Code, Diagnostic, Sources};
use crate::params::BertConfig;
use crate::params::builtin::Head;
use crate::schedule::ir::Data;
use crate::task::data::cache::FeatureCache;
use crate::task::data::tagged::{self, Sentence, Tagged};
use crate::task::data::tagged_windows::Sentences;
use crate::task::metric::entities::Tags;
use crate::task::model::BertForTokenClassification;
use crate::task::token_classification::TokenClassification;
use crate::text::Tokenizer;

use super::names::DataLabels;
use super::{FittedTeacher, Prepare, PrepareOptions, check_length, data_set, teacher_labels};

impl Prepare for TokenClassification {
    type Raw = Tagged;

    const TASK: &'static str = "token classification";
    const TRAINED_FOR: &'static str = "token classification with the same labels";
    const EXAMPLES: &'static str = "sentences";

    fn read(
        options: &PrepareOptions,
        sources: &mut Sources,
        notes: &mut Vec<String>,
    ) -> Result<Tagged, Diagnostic> {
        let Data::ClassifyTokens(columns) = options.data else {
            // invariant: the caller chose the task by the data.
            unreachable!("{:?} is no token classification", options.data)
        };
        let files = "train* and dev* CoNLL files (txt, conll) or tables (jsonl, json, parquet)";
        let mut data = tagged::read(&data_set(options, "classify_tokens", files)?, columns, sources, notes)?;
        if let Some(limit) = options.limit_examples {
            data.truncate(limit);
        }
        Ok(data)
    }

    fn head(raw: &Tagged, config: Option<&BertConfig>) -> Head {
        Head::TokenClassification { labels: tags(raw).count(config) }
    }

    fn assemble(
        raw: Tagged,
        tokenizer: &Tokenizer,
        config: &mut BertConfig,
        new_head: bool,
        options: &PrepareOptions,
        feature_cache: &mut FeatureCache,
    ) -> Result<Self, Diagnostic> {
        let (max_length, doc_stride) = match options.data {
            Data::ClassifyTokens(columns) => (columns.max_length, columns.doc_stride),
            _ => (config.longest(), 0),
        };
        check_length(max_length, config)?;
        let labels = labels(&raw, config, new_head, &mut feature_cache.notes)?;
        config.set_tags(&labels);
        let number = |tag: &String| tags(&raw).number(tag, &labels);
        let numbers = |sentence: &Sentence| sentence.tags.iter().map(number).collect::<Vec<_>>();
        let unknown = |s: &&Sentence| s.known_tags().any(|tag| number(tag).is_none());
        if let Some(tag) = raw
            .train
            .iter()
            .chain(&raw.dev)
            .find(unknown)
            .and_then(|s| s.known_tags().find(|tag| number(tag).is_none()))
        {
            let message = format!("the tag `{tag}` of the dev set does not occur in training");
            return Err(Diagnostic::unlocated(Code::LabelUnknown, message).help(
                "are the files of one data set? name all tags: `classify_tokens(labels: [O, \"B-PER\", …])`",
            ));
        }
        let mut windows_of = |sentences: &[Sentence]| {
            let labels: Vec<Vec<Option<usize>>> = sentences.iter().map(numbers).collect();
            let inputs = Sentences { sentences, labels: &labels, tokenizer, max_length, doc_stride };
            feature_cache.features(&inputs).map(|windows| (windows, labels))
        };
        let (train, _) = windows_of(&raw.train)?;
        let (dev, dev_labels) = windows_of(&raw.dev)?;
        if Tags::of(&labels).is_none() {
            feature_cache.notes.push(format!(
                "the tags ({}) are not those of BIO, IOB2, BIOES or BILOU: words are evaluated, not entities",
                labels.join(", ")
            ));
        }
        let dropout = |own: f64| options.dropout.unwrap_or(own);
        Ok(TokenClassification {
            train,
            dev,
            dev_labels,
            labels,
            data_labels: raw.labels,
            hidden_dropout: dropout(config.hidden_dropout_prob),
            attention_dropout: dropout(config.attention_probs_dropout_prob),
            head_dropout: dropout(config.token_classifier_dropout()),
        })
    }

    fn fit_teacher(
        &self,
        teacher: BertForTokenClassification,
        config: &BertConfig,
    ) -> Result<FittedTeacher<BertForTokenClassification>, String> {
        teacher_labels::fit(teacher, config, &self.labels, "token_classifier")
    }

    fn data_labels(&self) -> Option<&[String]> {
        Some(&self.data_labels)
    }

    fn dev_examples(&self) -> usize {
        self.dev_labels.len()
    }
}

/// The labels in the order of the model's outputs.
///
/// # Errors
/// Tags that the model does not have, or numbers without names.
fn labels(
    raw: &Tagged,
    config: &BertConfig,
    new_head: bool,
    notes: &mut Vec<String>,
) -> Result<Vec<String>, Diagnostic> {
    let tags = tags(raw);
    if let Some(names) = tags.of_model(config, new_head, notes)? {
        return Ok(names);
    }
    if tags.is_numbered() && !raw.declared {
        let message = "the tags are class indices, and their names are not known";
        return Err(Diagnostic::unlocated(Code::TagsUnnamed, message).help(
            "name them in the order of their indices: `classify_tokens(labels: [O, \"B-PER\", \"I-PER\"])`",
        ));
    }
    if !new_head {
        notes.push(tags.unnamed());
    }
    Ok(raw.labels.clone())
}

fn tags(raw: &Tagged) -> DataLabels<'_> {
    DataLabels { known: &raw.labels, occurring: &raw.occurring, word: "tag" }
}
