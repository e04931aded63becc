//! Prepares masked language modelling from documents.

use crate::diag::{Code, Diagnostic, Sources};
use crate::params::BertConfig;
use crate::params::builtin::Head;
use crate::schedule::ir::Data;
use crate::task::data::cache::FeatureCache;
use crate::task::data::documents::{self, Documents, Texts};
use crate::task::data::masking::Masking;
use crate::task::data::splits::Need;
use crate::task::masked_language::MaskedLanguage;
use crate::text::Tokenizer;

use super::{Prepare, PrepareOptions, check_length, data_set};

impl Prepare for MaskedLanguage {
    type Raw = Documents;

    const TASK: &'static str = "masked-language modelling";
    const TRAINED_FOR: &'static str = "masked-language modelling";
    const EXAMPLES: &'static str = "sequences";

    fn read(
        options: &PrepareOptions,
        sources: &mut Sources,
        notes: &mut Vec<String>,
    ) -> Result<Documents, Diagnostic> {
        let set = data_set(options, "masked_text", "train* and dev* texts (txt, jsonl, json, parquet)")?;
        documents::read(&set, sources, notes)
    }

    fn head(_: &Documents, _: Option<&BertConfig>) -> Head {
        Head::MaskedLanguageModel
    }

    fn assemble(
        raw: Documents,
        tokenizer: &Tokenizer,
        config: &mut BertConfig,
        _: bool,
        options: &PrepareOptions,
        feature_cache: &mut FeatureCache,
    ) -> Result<Self, Diagnostic> {
        let max_length = match options.data {
            Data::MaskedText { max_length } => *max_length,
            _ => config.longest(),
        };
        check_length(max_length, config)?;
        let Some(mask) = tokenizer.mask() else {
            return Err(Diagnostic::unlocated(
                Code::TokenizerNotReadable,
                "the tokenizer has no token that hides another",
            )
            .help("masked-language modelling needs [MASK] or <mask>; use the model's own tokenizer"));
        };
        let mut packed = |texts: &[String]| {
            let mut sequences = feature_cache.features(&Texts { documents: texts, tokenizer, max_length })?;
            sequences.truncate(options.limit_examples.unwrap_or(usize::MAX));
            Ok::<_, Diagnostic>(sequences)
        };
        let (train, dev) = (packed(&raw.train)?, packed(&raw.dev)?);
        if dev.is_empty() || (train.is_empty() && options.need == Need::Both) {
            return Err(Diagnostic::unlocated(Code::DataEmpty, "the texts hold no token")
                .help("are they in a language that the tokenizer knows?"));
        }
        Ok(MaskedLanguage {
            train,
            dev,
            masking: Masking {
                mask,
                special: tokenizer.special(),
                vocabulary: tokenizer.vocabulary_size() as u32,
            },
            every_token: options.distills,
            seed: options.seed,
            hidden_dropout: options.dropout.unwrap_or(config.hidden_dropout_prob),
            attention_dropout: options.dropout.unwrap_or(config.attention_probs_dropout_prob),
        })
    }

    fn dev_examples(&self) -> usize {
        self.dev.len()
    }
}
