//! Question answering from SQuAD's files or generated texts.

use crate::diag::{Diagnostic, Sources};
use crate::params::BertConfig;
use crate::params::builtin::Head;
use crate::schedule::ir::Data;
use crate::task::data::builtin;
use crate::task::data::cache::Making;
use crate::task::data::features::Questions;
use crate::task::data::squad::{self, Question, Split, Version};
use crate::task::question_answering::QuestionAnswering;
use crate::text::Tokenizer;
use crate::text::windows::Windows;

use super::{Places, Prepare, check_length, data_folder};

impl Prepare for QuestionAnswering {
    type Raw = Split;

    const TASK: &'static str = "question answering";
    const TRAINED_FOR: &'static str = "question answering";
    const EXAMPLES: &'static str = "questions";

    fn read(places: &Places, sources: &mut Sources, _: &mut Vec<String>) -> Result<Split, Diagnostic> {
        let mut split = match places.data {
            Data::BuiltinReading { train, dev } => builtin::generate(*train, *dev, places.seed),
            Data::SquadV2 { .. } => {
                let folder = data_folder(places, "squad_v2", "train* and dev* files (json, parquet)")?;
                squad::read_folder(folder, places.need, Version::Two, sources)?
            }
            _ => {
                let folder = data_folder(places, "squad", "train* and dev* files (json, parquet)")?;
                squad::read_folder(folder, places.need, Version::One, sources)?
            }
        };
        if let Some(limit) = places.limit_examples {
            split.train.truncate(limit);
            split.dev.truncate(limit);
        }
        Ok(split)
    }

    fn head(_: &Split, _: Option<&BertConfig>) -> Head {
        Head::QuestionAnswering
    }

    fn vocabulary(places: &Places) -> Option<Vec<String>> {
        matches!(places.data, Data::BuiltinReading { .. }).then(builtin::vocabulary)
    }

    fn assemble(
        raw: Split,
        tokenizer: &Tokenizer,
        config: &mut BertConfig,
        _: bool,
        places: &Places,
        making: &mut Making,
    ) -> Result<Self, Diagnostic> {
        let windows = match places.data {
            Data::Squad { max_length, doc_stride } | Data::SquadV2 { max_length, doc_stride } => {
                Windows { max_length: *max_length, doc_stride: *doc_stride }
            }
            _ => Windows { max_length: 128.min(config.longest()), doc_stride: 32 },
        };
        check_length(windows.max_length, config)?;
        let mut windows_of = |questions: &[Question]| {
            let inputs = Questions { questions, tokenizer, windows };
            match places.data {
                // Generated texts differ from seed to seed: they are not worth storing.
                Data::BuiltinReading { .. } => making.fresh(&inputs),
                _ => making.features(&inputs),
            }
        };
        let train = windows_of(&raw.train)?;
        let dev = windows_of(&raw.dev)?;
        Ok(QuestionAnswering {
            train,
            dev_questions: raw.dev,
            dev,
            hidden_dropout: places.dropout.unwrap_or(config.hidden_dropout_prob),
            attention_dropout: places.dropout.unwrap_or(config.attention_probs_dropout_prob),
            head_dropout: places.dropout.unwrap_or(config.answer_dropout()),
        })
    }

    fn held_out(&self) -> usize {
        self.dev_questions.len()
    }
}
