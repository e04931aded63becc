//! Every key that `transformers` 5 reads in `config.json` of BERT, RoBERTa and DistilBERT, and its treatment here:
//! supported (`computed`), without effect on the computation, or refused.
//!
//! The keys are those of `BertConfig`, `RobertaConfig`, `DistilBertConfig` and `PreTrainedConfig`
//! (`configuration_*.py`), those that their models read (`modeling_*.py`), and those of older versions that
//! files on the hub still have. [`super::config_file`] reads a file by this table, and
//! `docs/models-and-data.md` prints it.

use super::Family::{self, Bert, DistilBert, Roberta};
use super::config::MOST_LAYERS;

/// A key of `config.json`.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The key's name.
    pub name: &'static str,
    /// The families that have it.
    pub families: &'static [Family],
    /// Its treatment.
    pub treatment: Treatment,
}

/// The treatment of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Treatment {
    /// The computation depends on the key: the values that are accepted, and their meaning.
    Computed(Kind, &'static str),
    /// The computation does not depend on the key, for this reason.
    WithoutEffect(&'static str),
    /// The key is accepted if it is off (`false`, `null`, `0` or empty) and refused otherwise, for this reason.
    Refused(&'static str),
}

/// The values that a key accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A positive integer.
    Size,
    /// A positive integer up to a maximum.
    Count(usize),
    /// A token of the vocabulary, or `null`.
    Token,
    /// A dropout probability in 0..1.
    Dropout,
    /// A dropout probability, or `null` for that of another key.
    MaybeDropout,
    /// A number that is not negative.
    Number,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Truth,
    /// A list of class names of `transformers`.
    Classes,
    /// Label names by output index.
    Names,
    /// Output indices by label name.
    Numbers,
    /// A `problem_type` of classification, or `null`.
    Problem,
}

const ALL: &[Family] = &[Bert, Roberta, DistilBert];
const WITH_TYPES: &[Family] = &[Bert, Roberta];
const DISTILLED: &[Family] = &[DistilBert];

/// The accepted activations: the exact GELU, `x Φ(x)`.
const ACTIVATIONS: Kind = Kind::OneOf(&["gelu", "gelu_python"]);

const DECODER: &str = "a decoder reads only earlier tokens, or another text; obert computes encoders only";

const fn key(name: &'static str, families: &'static [Family], treatment: Treatment) -> Key {
    Key { name, families, treatment }
}

const fn computed(name: &'static str, families: &'static [Family], kind: Kind, what: &'static str) -> Key {
    key(name, families, Treatment::Computed(kind, what))
}

const fn refused(name: &'static str, why: &'static str) -> Key {
    key(name, ALL, Treatment::Refused(why))
}

/// The keys that the computation depends on, and those that are refused.
const KEYS: &[Key] = &[
    computed("model_type", ALL, Kind::OneOf(&["bert", "roberta", "distilbert"]), "the family"),
    computed("architectures", ALL, Kind::Classes, "which head the weights hold"),
    computed("vocab_size", ALL, Kind::Size, "rows of the word embeddings"),
    computed("hidden_size", WITH_TYPES, Kind::Size, "width of the hidden states; heads must divide it"),
    computed("dim", DISTILLED, Kind::Size, "width of the hidden states; heads must divide it"),
    computed("num_hidden_layers", WITH_TYPES, Kind::Count(MOST_LAYERS), "encoder layers"),
    computed("n_layers", DISTILLED, Kind::Count(MOST_LAYERS), "encoder layers"),
    computed("num_attention_heads", WITH_TYPES, Kind::Size, "attention heads of a layer"),
    computed("n_heads", DISTILLED, Kind::Size, "attention heads of a layer"),
    computed("intermediate_size", WITH_TYPES, Kind::Size, "width of the feed-forward layer"),
    computed("hidden_dim", DISTILLED, Kind::Size, "width of the feed-forward layer"),
    computed("max_position_embeddings", ALL, Kind::Size, "rows of the position embeddings"),
    computed(
        "type_vocab_size",
        WITH_TYPES,
        Kind::Size,
        "token types; with one, texts of a pair are not told apart",
    ),
    computed("hidden_act", WITH_TYPES, ACTIVATIONS, "the activation: the exact GELU"),
    computed("activation", DISTILLED, ACTIVATIONS, "the activation: the exact GELU"),
    computed("position_embedding_type", ALL, Kind::OneOf(&["absolute"]), "learned absolute positions"),
    computed("hidden_dropout_prob", WITH_TYPES, Kind::Dropout, "dropout of hidden states"),
    computed("dropout", DISTILLED, Kind::Dropout, "dropout of hidden states"),
    computed("attention_probs_dropout_prob", WITH_TYPES, Kind::Dropout, "dropout of attention weights"),
    computed("attention_dropout", DISTILLED, Kind::Dropout, "dropout of attention weights"),
    computed("classifier_dropout", WITH_TYPES, Kind::MaybeDropout, "dropout before a classifier"),
    computed("seq_classif_dropout", DISTILLED, Kind::Dropout, "dropout before a classifier"),
    computed("qa_dropout", DISTILLED, Kind::Dropout, "dropout before the answer's logits"),
    computed("layer_norm_eps", WITH_TYPES, Kind::Number, "the epsilon of every layer normalization"),
    computed("initializer_range", ALL, Kind::Number, "standard deviation of new weights"),
    computed("pad_token_id", ALL, Kind::Token, "a RoBERTa's positions begin behind it"),
    computed("tie_word_embeddings", ALL, Kind::Truth, "a masked language model must share its last matrix"),
    computed("id2label", ALL, Kind::Names, "the names of a classifier's outputs"),
    computed("label2id", ALL, Kind::Numbers, "the same the other way round; both must agree"),
    computed("num_labels", ALL, Kind::Size, "a classifier's outputs, where `id2label` is missing"),
    computed(
        "problem_type",
        ALL,
        Kind::Problem,
        "a classifier gives one label of several; others are refused",
    ),
    refused("is_decoder", DECODER),
    refused("add_cross_attention", DECODER),
    refused("is_encoder_decoder", DECODER),
    refused("cross_attention_hidden_size", DECODER),
    refused("pruned_heads", "heads were taken out of the matrices, whose shapes differ from layer to layer"),
    refused("per_layer_config", "layers differ from each other"),
    refused("quantization_config", "the weights are stored in another number format"),
    refused("compression_config", "the weights are stored in a compressed layout"),
];

/// Keys without effect, the families that have them, and the reason.
const WITHOUT_EFFECT: &[(&str, &[Family], &str)] = &[
    ("chunk_size_feed_forward", ALL, "the same sums in parts, to save memory"),
    (
        "sinusoidal_pos_embds",
        DISTILLED,
        "the table is in the weights; `transformers` does not train it, here `freeze` decides",
    ),
    ("dtype torch_dtype use_bfloat16", ALL, "weights are read as float32, whatever they are stored as"),
    ("auto_map", ALL, "code that comes with a model is not run, here as in `transformers`"),
    (
        "attn_implementation _attn_implementation _attn_implementation_autoset",
        ALL,
        "the same attention, computed in another way",
    ),
    (
        "output_hidden_states output_attentions return_dict use_return_dict tie_last_hidden_states \
         output_past torchscript",
        ALL,
        "what a call returns beside the logits",
    ),
    (
        "gradient_checkpointing gradient_checkpointing_kwargs",
        ALL,
        "how `transformers` trains: results are the same",
    ),
    ("use_cache tie_encoder_decoder", ALL, "for decoders, which are refused"),
    ("tie_weights_", DISTILLED, "`tie_word_embeddings` is read in its place"),
    (
        "transformers_version _name_or_path name_or_path _commit_hash finetuning_task \
         task_specific_params language",
        ALL,
        "a record of where the file comes from",
    ),
    (
        "tokenizer_class bos_token_id eos_token_id sep_token_id cls_token_id mask_token_id unk_token_id \
         model_max_length do_lower_case",
        ALL,
        "the tokenizer's files say it",
    ),
    (
        "decoder_start_token_id prefix max_length min_length do_sample early_stopping num_beams \
         num_beam_groups diversity_penalty temperature top_k top_p typical_p epsilon_cutoff eta_cutoff \
         repetition_penalty encoder_repetition_penalty length_penalty no_repeat_ngram_size \
         encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores \
         return_dict_in_generate forced_bos_token_id forced_eos_token_id remove_invalid_values \
         exponential_decay_length_penalty suppress_tokens begin_suppress_tokens num_assistant_tokens \
         num_assistant_tokens_schedule assistant_confidence_threshold assistant_lookbehind \
         target_lookbehind",
        ALL,
        "for generating text, which an encoder does not do",
    ),
    (
        "directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers \
         pooler_size_per_head pooler_type tf_legacy_loss xla_device",
        ALL,
        "no version of `transformers` for PyTorch reads it",
    ),
];

/// All keys; those without effect last.
pub fn keys() -> impl Iterator<Item = Key> {
    let without_effect = WITHOUT_EFFECT.iter().flat_map(|(names, families, why)| {
        let key = |name| key(name, families, Treatment::WithoutEffect(why));
        names.split_whitespace().map(key)
    });
    KEYS.iter().copied().chain(without_effect)
}

/// The entry of a family's key; `None` for a key that `transformers` does not read.
pub fn find(name: &str, family: Family) -> Option<Key> {
    keys().find(|key| key.name == name && key.families.contains(&family))
}

/// The table as Markdown: keys without effect grouped by reason, all others one by one.
pub fn markdown() -> String {
    let family = |key: Key| match key.families.len() {
        3 => "all".to_owned(),
        _ => key.families.iter().map(|f| format!("`{}`", f.model_type())).collect::<Vec<_>>().join(", "),
    };
    let mut out = String::from("| key | families | what is done |\n|---|---|---|\n");
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for key in keys() {
        let name = key.name;
        match key.treatment {
            Treatment::Computed(kind, what) => {
                let values = kind.values().map_or(String::new(), |values| format!("; {values}"));
                out.push_str(&format!("| `{name}` | {} | computed: {what}{values} |\n", family(key)));
            }
            Treatment::Refused(why) => {
                out.push_str(&format!("| `{name}` | {} | refused unless it is off: {why} |\n", family(key)));
            }
            Treatment::WithoutEffect(why) => match reasons.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, names)) => names.push(name),
                None => reasons.push((why, vec![name])),
            },
        }
    }
    out.push_str("\n| keys without effect | why |\n|---|---|\n");
    for (why, names) in reasons {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        out.push_str(&format!("| {} | {why} |\n", names.join(", ")));
    }
    out
}

impl Kind {
    /// The accepted values for the Markdown table, where they are not obvious.
    fn values(self) -> Option<String> {
        match self {
            Kind::Count(most) => Some(format!("at most {most}")),
            Kind::OneOf(values) => {
                Some(values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(" or "))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_row_for_each_family() {
        for (i, key) in keys().enumerate() {
            for family in key.families {
                let rows = keys().filter(|k| k.name == key.name && k.families.contains(family)).count();
                assert_eq!(rows, 1, "{} of {family:?}, row {i}", key.name);
            }
            assert!(!key.families.is_empty());
        }
    }

    #[test]
    fn the_settings_of_each_family_are_among_them() {
        assert!(find("hidden_size", Bert).is_some() && find("hidden_size", DistilBert).is_none());
        assert!(find("qa_dropout", DistilBert).is_some() && find("qa_dropout", Roberta).is_none());
    }
}
