//! Prepares sequence classification from tables.

use std::collections::BTreeSet;

use crate::diag::{Diagnostic, Sources, agreeing, counted};
use crate::params::BertConfig;
use crate::params::builtin::Head;
use crate::schedule::ir::Data;
use crate::task::classification::{Classification, F1};
use crate::task::data::cache::FeatureCache;
use crate::task::data::labelled::{self, Example, Labelled};
use crate::task::data::layout::Layout;
use crate::task::data::pairs::Examples;
use crate::task::model::BertForSequenceClassification;
use crate::task::parameters;
use crate::text::Tokenizer;

use super::label_names::Outputs;
use super::{FittedTeacher, Prepare, PrepareOptions, check_length, data_set};

impl Prepare for Classification {
    type Raw = Labelled;

    const TASK: &'static str = "classification";
    const TRAINED_FOR: &'static str = "classification with the same labels";
    const EXAMPLES: &'static str = "examples";

    fn read(
        options: &PrepareOptions,
        sources: &mut Sources,
        notes: &mut Vec<String>,
    ) -> Result<Labelled, Diagnostic> {
        let (name, layout) = match options.data {
            Data::Mnli { .. } => ("mnli", Layout::mnli()),
            Data::Qqp { .. } => ("qqp", Layout::qqp()),
            Data::Classify(columns) => ("classify(…)", Layout::columns(columns)),
            // invariant: the caller chose the task by the data.
            other => unreachable!("{other:?} is no classification"),
        };
        let set = data_set(options, name, "train* and dev* tables (tsv, csv, jsonl, json, parquet)")?;
        let mut data = labelled::read(&set, layout, sources, notes)?;
        if let Some(limit) = options.limit_examples {
            data.truncate(limit);
        }
        Ok(data)
    }

    fn head(raw: &Labelled, config: Option<&BertConfig>) -> Head {
        Head::Classification { labels: Outputs::count(raw, config) }
    }

    fn assemble(
        raw: Labelled,
        tokenizer: &Tokenizer,
        config: &mut BertConfig,
        new_head: bool,
        options: &PrepareOptions,
        feature_cache: &mut FeatureCache,
    ) -> Result<Self, Diagnostic> {
        let max_length = match options.data {
            Data::Mnli { max_length } | Data::Qqp { max_length } => *max_length,
            Data::Classify(columns) => columns.max_length,
            _ => config.longest(),
        };
        check_length(max_length, config)?;
        let outputs = Outputs::of(&raw, config, new_head, &mut feature_cache.notes)?;
        let asked = match options.data {
            Data::Classify(columns) => columns.positive.as_deref(),
            _ => None,
        };
        let f1 = match options.data {
            Data::Mnli { .. } => F1::Unmeasured,
            _ => match outputs.positive(&raw, asked, &mut feature_cache.notes)? {
                Some(positive) => F1::Of(positive),
                None => F1::Mean,
            },
        };
        config.set_labels(&outputs.names);
        let number = |label: &str| outputs.number(&raw, label);
        let mut sequences_of = |examples: &[Example]| {
            let numbers: Vec<Option<usize>> = examples.iter().map(|e| number(&e.label)).collect();
            feature_cache.features(&Examples { examples, numbers: &numbers, tokenizer, max_length })
        };
        let train = sequences_of(&raw.train)?;
        let mut dev = Vec::new();
        for set in &raw.dev {
            dev.push((set.suffix, sequences_of(&set.examples)?));
        }
        let all = || train.iter().chain(dev.iter().flat_map(|(_, set)| set));
        let truncated = all().filter(|s| s.truncated).count();
        if truncated > 0 {
            let texts = counted(all().count(), "text", "texts");
            let (are, them) = (agreeing(&truncated, "is", "are"), agreeing(&truncated, "it", "them"));
            feature_cache.notes.push(format!(
                "{truncated} of {texts} {are} longer than {max_length} tokens and {are} truncated, as transformers \
                 does with `truncation=True`; `--max-seq-len N` reads more of {them}",
            ));
        }
        let dropout = |own: f64| options.dropout.unwrap_or(own);
        Ok(Classification {
            train,
            dev,
            f1,
            labels: outputs.names,
            data_labels: raw.labels.clone(),
            hidden_dropout: dropout(config.hidden_dropout_prob),
            attention_dropout: dropout(config.attention_probs_dropout_prob),
            pooled_dropout: dropout(config.classifier_dropout()),
        })
    }

    /// Reorders the rows of the teacher's classifier to the student's labels.
    fn fit_teacher(
        &self,
        teacher: BertForSequenceClassification,
        config: &BertConfig,
    ) -> Result<FittedTeacher<BertForSequenceClassification>, String> {
        let own = self.labels.join(", ");
        let labels = match config.labels() {
            Some(labels) if same(&labels, &self.labels) || !are_numbers(&self.labels) => labels,
            named => {
                let why = match named {
                    None => "the teacher's labels are placeholders".to_owned(),
                    Some(names) => {
                        format!("the student's labels are numbers, the teacher's {}", names.join(", "))
                    }
                };
                let note = format!("{why}: its outputs are taken to be in the student's order, {own}");
                return Ok(FittedTeacher { model: teacher, notes: vec![note] });
            }
        };
        if !same(&labels, &self.labels) {
            return Err(format!("has the labels {}, the student {own}", labels.join(", "),));
        }
        let place = |label: &String| labels.iter().position(|l| l.eq_ignore_ascii_case(label));
        let order: Vec<usize> = self.labels.iter().filter_map(place).collect();
        // Only the last layer has a row for each label, not RoBERTa's `classifier.dense`.
        let last = ["weight", "bias"].map(|part| config.family().name(&format!("classifier.{part}")));
        let mut values = parameters::read(&teacher, |name| last.iter().any(|l| l == name));
        for rows in values.values_mut() {
            let width = rows.len() / order.len().max(1);
            *rows = order.iter().flat_map(|i| rows[i * width..(i + 1) * width].to_vec()).collect();
        }
        let reordered = order.iter().enumerate().any(|(i, place)| i != *place);
        let note = reordered.then(|| {
            format!("the teacher's outputs are matched by name: {} become {own}", labels.join(", "))
        });
        Ok(FittedTeacher { model: parameters::write(teacher, values), notes: note.into_iter().collect() })
    }

    fn data_labels(&self) -> Option<&[String]> {
        Some(&self.data_labels)
    }

    fn dev_examples(&self) -> usize {
        Classification::dev_examples(self)
    }
}

/// Whether labels are `0`, `1` … or the placeholders `LABEL_0`, `LABEL_1` ….
fn are_numbers(labels: &[String]) -> bool {
    let number = |label: &str, i: usize| label.strip_prefix("LABEL_").unwrap_or(label).parse() == Ok(i);
    labels.iter().enumerate().all(|(i, label)| number(label, i))
}

/// Whether two lists have the same names in any order, ignoring case.
fn same(a: &[String], b: &[String]) -> bool {
    let set = |names: &[String]| names.iter().map(|n| n.to_lowercase()).collect::<BTreeSet<_>>();
    a.len() == b.len() && set(a) == set(b)
}
