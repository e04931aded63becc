//! Prepares extractive question answering from SQuAD's files or generated data.

use std::collections::BTreeMap;

use crate::diag::{Diagnostic, Sources, agreeing, counted};
use crate::params::builtin::Head;
use crate::params::{BertConfig, Settings};
use crate::schedule::ir::Data;
use crate::task::data::builtin;
use crate::task::data::cache::FeatureCache;
use crate::task::data::features::{self, Feature};
use crate::task::data::squad::{self, Question, Questions, Version};
use crate::task::question_answering::QuestionAnswering;
use crate::text::Tokenizer;
use crate::text::windows::Windows;

use super::{Prepare, PrepareOptions, check_length, data_set};

impl Prepare for QuestionAnswering {
    type Raw = Questions;

    const TASK: &'static str = "question answering";
    const TRAINED_FOR: &'static str = "question answering";
    const EXAMPLES: &'static str = "questions";

    fn read(
        options: &PrepareOptions,
        sources: &mut Sources,
        notes: &mut Vec<String>,
    ) -> Result<Questions, Diagnostic> {
        let files = "train* and dev* files (json, jsonl, parquet)";
        let mut split = match options.data {
            Data::BuiltinReading { train, dev } => builtin::generate(*train, *dev, options.seed),
            Data::SquadV2 { .. } => {
                squad::read(&data_set(options, "squad_v2", files)?, Version::Two, sources, notes)?
            }
            _ => squad::read(&data_set(options, "squad", files)?, Version::One, sources, notes)?,
        };
        if let Some(limit) = options.limit_examples {
            split.train.truncate(limit);
            split.dev.truncate(limit);
        }
        Ok(split)
    }

    fn head(_: &Questions, _: Option<&BertConfig>) -> Head {
        Head::QuestionAnswering
    }

    fn vocabulary(options: &PrepareOptions) -> Option<Vec<String>> {
        matches!(options.data, Data::BuiltinReading { .. }).then(builtin::vocabulary)
    }

    fn assemble(
        mut raw: Questions,
        tokenizer: &Tokenizer,
        config: &mut BertConfig,
        _: bool,
        options: &PrepareOptions,
        feature_cache: &mut FeatureCache,
    ) -> Result<Self, Diagnostic> {
        let (windows, max_answer_length) = match options.data {
            Data::Squad { max_length, doc_stride, max_answer_length }
            | Data::SquadV2 { max_length, doc_stride, max_answer_length } => {
                (Windows { max_length: *max_length, doc_stride: *doc_stride }, *max_answer_length)
            }
            _ => (Windows { max_length: 128.min(config.longest()), doc_stride: 32 }, 30),
        };
        check_length(windows.max_length, config)?;
        if options.reading.skip_bad {
            for questions in [&mut raw.train, &mut raw.dev] {
                let mut fits = features::Questions { questions, tokenizer, windows }.fitting()?.into_iter();
                let before = questions.len();
                questions.retain(|_| fits.next().unwrap_or(true));
                let count = before - questions.len();
                if count > 0 {
                    let length = windows.max_length;
                    let before = counted(before, "question", "questions");
                    let (leave, their) =
                        (agreeing(&count, "leaves", "leave"), agreeing(&count, "its", "their"));
                    let are = agreeing(&count, "is", "are");
                    feature_cache.notes.push(format!(
                        "{count} of {before} {leave} too little of {length} tokens for {their} context and {are} left out"
                    ));
                }
            }
        }
        let mut windows_of = |questions: &[Question]| {
            let inputs = features::Questions { questions, tokenizer, windows };
            match options.data {
                // Generated data differs from seed to seed and is not cached.
                Data::BuiltinReading { .. } => feature_cache.compute(&inputs),
                _ => feature_cache.features(&inputs),
            }
        };
        let train = windows_of(&raw.train)?;
        let dev = windows_of(&raw.dev)?;
        for (split, questions, features) in [("training", &raw.train, &train), ("dev", &raw.dev, &dev)] {
            feature_cache.notes.extend(too_long(split, questions, features, max_answer_length));
        }
        Ok(QuestionAnswering {
            max_answer_length,
            train,
            dev_questions: raw.dev,
            dev,
            hidden_dropout: options.dropout.unwrap_or(config.hidden_dropout_prob),
            attention_dropout: options.dropout.unwrap_or(config.attention_probs_dropout_prob),
            head_dropout: options.dropout.unwrap_or(config.answer_dropout()),
        })
    }

    fn apply(&mut self, settings: &Settings) {
        self.max_answer_length = settings.max_answer_length.unwrap_or(self.max_answer_length);
    }

    fn dev_examples(&self) -> usize {
        self.dev_questions.len()
    }
}

/// Notes on answers that are longer than `most` tokens, or that no window contains.
fn too_long(split: &str, questions: &[Question], features: &[Feature], most: usize) -> Vec<String> {
    // The number of tokens of each answer; 0 if no window contains all of it.
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    for feature in features.iter().filter(|f| !questions[f.question].answers.is_empty()) {
        let length = if feature.answer.1 == 0 { 0 } else { feature.answer.1 - feature.answer.0 + 1 };
        let known = lengths.entry(feature.question).or_default();
        *known = length.max(*known);
    }
    let mut notes = Vec::new();
    let answers = agreeing(&lengths.len(), "answer", "answers");
    let all = format!("{} {split} {answers}", lengths.len());
    let count = lengths.values().filter(|length| **length > most).count();
    if let Some(needed) = lengths.values().max().filter(|_| count > 0) {
        let (have, most) = (agreeing(&count, "has", "have"), counted(most, "token", "tokens"));
        notes.push(format!(
            "{count} of {all} {have} more than {most} and can never be predicted: `max_answer_length: {needed}`, or `eval --max-answer-length {needed}`, allows all"
        ));
    }
    let count = lengths.values().filter(|length| **length == 0).count();
    if count > 0 {
        let (are, them) = (agreeing(&count, "is", "are"), agreeing(&count, "it", "them"));
        notes.push(format!(
            "{count} of {all} {are} not contained whole in any window: a longer `max_length` or `doc_stride` may contain {them}"
        ));
    }
    notes
}
