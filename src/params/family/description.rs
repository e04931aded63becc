//! What a family's file describes.

use serde_json::Value;

use crate::params::architecture::Architecture;
use crate::params::config::BertConfig;
use crate::params::config_key::Key;

/// What distinguishes a family from the others. BERT's names are those of `transformers` for BERT.
pub(in crate::params) struct Description {
    /// The `model_type`.
    pub(in crate::params) model_type: &'static str,
    /// The first part of the names of the encoder's parameters.
    pub(in crate::params) prefix: &'static str,
    /// The prefix of classes of `transformers`, as in `RobertaForMaskedLM`.
    pub(in crate::params) class: &'static str,
    /// The path of the list of encoder layers, after the prefix.
    pub(in crate::params) layers: &'static str,
    /// BERT's and the family's names of modules, after the number of a layer. Of two names of which one is a prefix of
    /// the other, the longer is first; names that are the same are left out. The same holds for the next two lists.
    pub(in crate::params) layer: &'static [(&'static str, &'static str)],
    /// BERT's and the family's names of other modules of the encoder, after the prefix.
    pub(in crate::params) modules: &'static [(&'static str, &'static str)],
    /// BERT's and the family's names of the heads' modules.
    pub(in crate::params) heads: &'static [(&'static str, &'static str)],
    /// The modules of embeddings and encoder, after the prefix; other parameters are the head's.
    pub(in crate::params) encoder: &'static [&'static str],
    /// The name of the language model's output matrix, which is tied to the word embeddings; some files contain it as
    /// well.
    pub(in crate::params) tied: &'static str,
    /// BERT's and the family's keys of the same settings in `config.json`.
    pub(in crate::params) settings: &'static [(&'static str, &'static str)],
    /// Settings that are constants in the family's code, by BERT's keys.
    pub(in crate::params) constants: &'static [(&'static str, Setting)],
    /// Defaults of `transformers` for keys missing from `config.json`, where they differ from BERT's; by BERT's keys.
    pub(in crate::params) absent: &'static [(&'static str, Setting)],
    /// Default sizes of `transformers`, where they differ from BERT's.
    pub(in crate::params) sizes: &'static [(&'static str, Setting)],
    /// Whether positions begin at `pad_token_id + 1` (RoBERTa); `pad_token_id` must then be a token id, not -1.
    pub(in crate::params) pads_positions: bool,
    /// The keys of `config.json` besides those of all families.
    pub(in crate::params) keys: &'static [&'static [Key]],
    /// Writes the settings of single layers (`layer_types`, or the number of groups) into a configuration after layers
    /// were dropped; the number of layers is written elsewhere.
    pub(in crate::params) set_layers: Option<fn(&mut BertConfig, &Architecture)>,
    /// Returns the architecture of a model with this configuration.
    pub(in crate::params) architecture: fn(&BertConfig) -> Architecture,
}

/// A value of a setting in a [`Description`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::params) enum Setting {
    /// A size or a token.
    Size(u64),
    /// Another number.
    Number(f64),
    /// A name.
    Name(&'static str),
}

impl Setting {
    pub(in crate::params) fn value(self) -> Value {
        match self {
            Setting::Size(size) => size.into(),
            Setting::Number(number) => number.into(),
            Setting::Name(name) => name.into(),
        }
    }
}
