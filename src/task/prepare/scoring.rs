//! Prepares regression, reranking and multi-label classification from tables.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Sources};
use crate::params::builtin::Head;
use crate::params::{BertConfig, PROBLEMS};
use crate::schedule::ir::{Data, MultiLabelColumns, ScoreColumns};
use crate::task::data::cache::FeatureCache;
use crate::task::data::target_sequences::TargetTexts;
use crate::task::data::targets::{self, Example, Target, TargetColumns, TargetValue, Targeted};
use crate::task::model::BertForSequenceClassification;
use crate::task::scoring::{Problem, Scoring};
use crate::text::Tokenizer;

use super::names::DataLabels;
use super::{FittedTeacher, Prepare, PrepareOptions, check_length, data_set, teacher_labels, truncated_note};

/// The data, and its labels.
pub struct Raw {
    data: Targeted,
    /// The labels in order and those that occur; `None` of scores.
    labels: Option<(Vec<String>, Vec<String>)>,
}

impl Raw {
    fn labels(&self) -> Option<DataLabels<'_>> {
        let (known, occurring) = self.labels.as_ref()?;
        Some(DataLabels { known, occurring, word: "label" })
    }
}

impl Prepare for Scoring {
    type Raw = Raw;

    const TASK: &'static str = "scores or several labels";
    const TRAINED_FOR: &'static str = "the same scores or labels";
    const EXAMPLES: &'static str = "examples";

    fn read(
        options: &PrepareOptions,
        sources: &mut Sources,
        notes: &mut Vec<String>,
    ) -> Result<Raw, Diagnostic> {
        let (name, columns, declared) = match options.data {
            Data::Regression(ScoreColumns { text, pair, score, .. }) => {
                let target = Target::Score(score.clone());
                ("regression(…)", TargetColumns { text: text.clone(), pair: pair.clone(), target }, None)
            }
            Data::Rerank(ScoreColumns { text, pair, score, .. }) => {
                let target = Target::Score(score.clone());
                ("rerank", TargetColumns { text: text.clone(), pair: pair.clone(), target }, None)
            }
            Data::MultiLabel(MultiLabelColumns { text, pair, label, columns, labels, .. }) => {
                let (target, declared) = match columns.is_empty() {
                    true => (Target::List(label.clone()), labels),
                    false => (Target::Columns(columns.clone()), columns),
                };
                let columns = TargetColumns { text: text.clone(), pair: pair.clone(), target };
                ("multi_label(…)", columns, Some(declared))
            }
            // invariant: the caller chose the task by the data.
            other => unreachable!("{other:?} has neither scores nor several labels"),
        };
        let set = data_set(options, name, "train* and dev* tables (tsv, csv, jsonl, json, parquet)")?;
        let mut data = targets::read(&set, &columns, sources, notes)?;
        let labels = declared.map(|declared| {
            let known = if declared.is_empty() { data.labels() } else { declared.clone() };
            (known, data.occurring())
        });
        if let Some(limit) = options.limit_examples {
            data.truncate(limit);
        }
        Ok(Raw { data, labels })
    }

    fn head(raw: &Raw, config: Option<&BertConfig>) -> Head {
        match raw.labels() {
            None => Head::Regression,
            Some(labels) => Head::MultiLabel { labels: labels.count(config) },
        }
    }

    fn assemble(
        raw: Raw,
        tokenizer: &Tokenizer,
        config: &mut BertConfig,
        new_head: bool,
        options: &PrepareOptions,
        feature_cache: &mut FeatureCache,
    ) -> Result<Self, Diagnostic> {
        let max_length = match options.data {
            Data::Regression(columns) | Data::Rerank(columns) => columns.max_length,
            Data::MultiLabel(columns) => columns.max_length,
            _ => config.longest(),
        };
        check_length(max_length, config)?;
        let (names, numbers) = match raw.labels() {
            None => (Vec::new(), None),
            Some(labels) => {
                let names = match labels.of_model(config, new_head, &mut feature_cache.notes)? {
                    Some(names) => names,
                    None => {
                        if !new_head {
                            feature_cache.notes.push(labels.unnamed());
                        }
                        labels.known.to_vec()
                    }
                };
                if names.is_empty() {
                    return Err(Diagnostic::unlocated(Code::DataEmpty, "no text has a label")
                        .help("is it the column of the labels?"));
                }
                (names, Some(labels))
            }
        };
        match &numbers {
            None => {
                config.set_labels(&["LABEL_0".to_owned()]);
                config.set_problem(PROBLEMS[2]);
                if let Data::Rerank(_) = options.data {
                    check_ranking(&raw.data)?;
                    // A cross-encoder applies a sigmoid to its one output, which `transformers` takes for a score.
                    config.rest.remove("problem_type");
                }
            }
            Some(_) => {
                config.set_labels(&names);
                config.set_problem(PROBLEMS[1]);
            }
        }
        let targets_of = |example: &Example| -> Result<Vec<u32>, Diagnostic> {
            let labels = match &example.value {
                TargetValue::Score(score) => return Ok(vec![(*score as f32).to_bits()]),
                TargetValue::Labels(labels) => labels,
            };
            let mut values = vec![0.0f32.to_bits(); names.len()];
            for label in labels {
                let number = numbers.as_ref().and_then(|labels| labels.number(label, &names));
                let number = number.ok_or_else(|| {
                    let message = format!("the label `{label}` is not one of {}", names.join(", "));
                    Diagnostic::unlocated(Code::LabelUnknown, message).help(
                        "are the files of one data set? name all labels: `multi_label(…, labels: [a, b])`",
                    )
                })?;
                values[number] = 1.0f32.to_bits();
            }
            Ok(values)
        };
        let mut sequences_of = |examples: &[Example]| {
            let targets = examples.iter().map(targets_of).collect::<Result<Vec<_>, _>>()?;
            let texts: Vec<(&str, Option<&str>)> =
                examples.iter().map(|e| (e.text.as_str(), e.pair.as_deref())).collect();
            let inputs = TargetTexts { texts: &texts, targets: &targets, tokenizer, max_length };
            let sequences = feature_cache.features(&inputs)?;
            let truncated = sequences.iter().filter(|s| s.truncated).count();
            if truncated > 0 {
                feature_cache.notes.push(truncated_note(truncated, sequences.len(), max_length));
            }
            Ok::<_, Diagnostic>(sequences)
        };
        let (train, dev) = (sequences_of(&raw.data.train)?, sequences_of(&raw.data.dev)?);
        let problem = match &raw.labels {
            None if matches!(options.data, Data::Rerank(_)) => {
                Problem::Rerank { queries: queries(&raw.data.dev) }
            }
            None => Problem::Regression,
            Some((known, _)) => Problem::MultiLabel { labels: names, data_labels: known.clone() },
        };
        let dropout = |own: f64| options.dropout.unwrap_or(own);
        Ok(Scoring {
            problem,
            train,
            dev,
            hidden_dropout: dropout(config.hidden_dropout_prob),
            attention_dropout: dropout(config.attention_probs_dropout_prob),
            pooled_dropout: dropout(config.classifier_dropout()),
        })
    }

    fn fit_teacher(
        &self,
        teacher: BertForSequenceClassification,
        config: &BertConfig,
    ) -> Result<FittedTeacher<BertForSequenceClassification>, String> {
        match &self.problem {
            Problem::Regression | Problem::Rerank { .. } => {
                Ok(FittedTeacher { model: teacher, notes: Vec::new() })
            }
            Problem::MultiLabel { labels, .. } => teacher_labels::fit(teacher, config, labels, "classifier"),
        }
    }

    fn data_labels(&self) -> Option<&[String]> {
        match &self.problem {
            Problem::Regression | Problem::Rerank { .. } => None,
            Problem::MultiLabel { data_labels, .. } => Some(data_labels),
        }
    }

    fn dev_examples(&self) -> usize {
        self.dev.len()
    }
}

/// The number of the query of each example: equal texts are one query.
fn queries(examples: &[Example]) -> Vec<usize> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut list = Vec::with_capacity(examples.len());
    for example in examples {
        let next = numbers.len();
        list.push(*numbers.entry(example.text.as_str()).or_insert(next));
    }
    list
}

/// Checks that labels are probabilities, and that there is something to rank in the dev set.
///
/// # Errors
/// A label outside 0..=1, or no query with relevant and other passages.
fn check_ranking(data: &Targeted) -> Result<(), Diagnostic> {
    let score = |example: &Example| match &example.value {
        TargetValue::Score(score) => *score,
        TargetValue::Labels(_) => 0.0,
    };
    if let Some(wrong) = data.train.iter().chain(&data.dev).map(score).find(|s| !(0.0..=1.0).contains(s)) {
        let message = format!("a passage has the label {wrong}, which is no probability");
        return Err(Diagnostic::unlocated(Code::NotOfThisTask, message).help(
            "`rerank` needs 1 for relevant passages and 0 for others; for scores use `regression(…)`",
        ));
    }
    let mut kinds: HashMap<&str, [bool; 2]> = HashMap::new();
    for example in &data.dev {
        kinds.entry(&example.text).or_default()[usize::from(score(example) > 0.5)] = true;
    }
    match kinds.values().any(|kinds| kinds == &[true; 2]) {
        true => Ok(()),
        false => Err(Diagnostic::unlocated(
            Code::DataEmpty,
            "no query of the dev set has both a relevant and another passage",
        )
        .help("a query has a row for each of its passages, with the same text of the query")),
    }
}
