//! Prepares sequence classification from tables.

use crate::diag::{Diagnostic, Sources};
use crate::params::BertConfig;
use crate::params::builtin::Head;
use crate::schedule::ir::Data;
use crate::task::classification::{Classification, F1};
use crate::task::data::cache::FeatureCache;
use crate::task::data::labelled::{self, Example, Labelled};
use crate::task::data::layout::Layout;
use crate::task::data::pairs::Examples;
use crate::task::model::BertForSequenceClassification;
use crate::text::Tokenizer;

use super::label_names::Outputs;
use super::{FittedTeacher, Prepare, PrepareOptions, check_length, data_set, teacher_labels, truncated_note};

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
            feature_cache.notes.push(truncated_note(truncated, all().count(), max_length));
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
        teacher_labels::fit(teacher, config, &self.labels, "classifier")
    }

    fn data_labels(&self) -> Option<&[String]> {
        Some(&self.data_labels)
    }

    fn dev_examples(&self) -> usize {
        Classification::dev_examples(self)
    }
}
