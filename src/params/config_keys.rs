//! Every key that `transformers` 5 reads in `config.json` of the supported families, and its treatment here: supported
//! (`computed`), without effect on the computation, or refused.
//!
//! The keys are those of the configuration classes (`configuration_*.py`), those that their models read
//! (`modeling_*.py`), and those of older versions that files on the hub still have. Keys of all families are here, with
//! those that families of BERT's body share; the others are in the files of [`super::family`]. [`super::config_file`]
//! reads a file by this table, and `docs/models-and-data.md` prints it.

use super::Family;
pub use super::config_key::{Key, Kind, Treatment};
use super::config_key::{computed, refused, without_effect};

const DECODER: &str = "a decoder reads only earlier tokens, or another text; obert supports encoders only";

/// The keys that every family has.
const COMMON: &[Key] = &[
    computed("model_type", Kind::Family, "the family"),
    computed("architectures", Kind::Classes, "which head the weights hold"),
    computed("vocab_size", Kind::Size, "rows of the word embeddings"),
    computed("max_position_embeddings", Kind::Size, "rows of the position embeddings"),
    computed("initializer_range", Kind::Number, "standard deviation of new weights"),
    computed("pad_token_id", Kind::Token, "position ids of RoBERTa start at `pad_token_id` + 1"),
    computed("tie_word_embeddings", Kind::Truth, "a masked language model must share its last matrix"),
    computed("id2label", Kind::Names, "the names of a classifier's outputs"),
    computed("label2id", Kind::Numbers, "the same the other way round; both must agree"),
    computed("num_labels", Kind::Size, "a classifier's outputs, where `id2label` is missing"),
    computed(
        "problem_type",
        Kind::Problem,
        "what a classifier's outputs mean: one label of several, any number of labels, or a score",
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

/// Keys of every family without effect, and the reason.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("chunk_size_feed_forward", "the same sums in parts, to save memory"),
    ("dtype torch_dtype use_bfloat16", "weights are read as float32, whatever they are stored as"),
    ("auto_map", "code that comes with a model is not run, here as in `transformers`"),
    (
        "attn_implementation _attn_implementation _attn_implementation_autoset",
        "the same attention, computed in another way",
    ),
    (
        "output_hidden_states output_attentions return_dict use_return_dict tie_last_hidden_states \
         output_past torchscript",
        "what a call returns beside the logits",
    ),
    (
        "gradient_checkpointing gradient_checkpointing_kwargs",
        "how `transformers` trains: results are the same",
    ),
    ("use_cache tie_encoder_decoder", "for decoders, which are refused"),
    (
        "transformers_version _name_or_path name_or_path _commit_hash finetuning_task \
         task_specific_params language",
        "a record of where the file comes from",
    ),
    (
        "tokenizer_class bos_token_id eos_token_id sep_token_id cls_token_id mask_token_id unk_token_id \
         model_max_length do_lower_case",
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
        "for generating text, which an encoder does not do",
    ),
    (
        "directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers \
         pooler_size_per_head pooler_type tf_legacy_loss xla_device",
        "no version of `transformers` for PyTorch reads it",
    ),
];

/// The keys of a family; those of all families without effect last.
pub fn keys(family: Family) -> impl Iterator<Item = Key> {
    let without_effect = WITHOUT_EFFECT
        .iter()
        .flat_map(|(names, why)| names.split_whitespace().map(|name| without_effect(name, why)));
    let own = family.description().keys.iter().flat_map(|keys| keys.iter());
    COMMON.iter().chain(own).copied().chain(without_effect)
}

/// The entry of a family's key; `None` for a key that `transformers` does not read.
pub fn find(name: &str, family: Family) -> Option<Key> {
    keys(family).find(|key| key.name == name)
}

/// The table as Markdown: keys without effect grouped by reason, all others one by one.
pub fn markdown() -> String {
    let mut all: Vec<(Key, Vec<Family>)> = Vec::new();
    for family in Family::ALL {
        for key in keys(family) {
            match all.iter_mut().find(|(known, _)| *known == key) {
                Some((_, families)) => families.push(family),
                None => all.push((key, vec![family])),
            }
        }
    }
    let names = |families: &[Family]| match families.len() == Family::ALL.len() {
        true => "all".to_owned(),
        false => families.iter().map(|f| format!("`{}`", f.model_type())).collect::<Vec<_>>().join(", "),
    };
    let mut out = String::from("| key | families | what is done |\n|---|---|---|\n");
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (key, families) in all {
        let (name, families) = (key.name, names(&families));
        match key.treatment {
            Treatment::Computed(kind, what) => {
                let values = values(kind).map_or(String::new(), |values| format!("; {values}"));
                out.push_str(&format!("| `{name}` | {families} | supported: {what}{values} |\n"));
            }
            Treatment::Refused(why) => {
                out.push_str(&format!("| `{name}` | {families} | refused unless it is off: {why} |\n"));
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

/// The values that a key accepts, for the Markdown table, where they are not obvious.
fn values(kind: Kind) -> Option<String> {
    let names = |names: Vec<&str>| names.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(" or ");
    match kind {
        Kind::Always => Some("only `true` is supported".to_owned()),
        Kind::Exactly(only) => Some(format!("only {only} is supported")),
        Kind::Count(most) => Some(format!("at most {most}")),
        Kind::OneOf(values) => Some(names(values.to_vec())),
        Kind::Family => Some(names(Family::ALL.map(Family::model_type).to_vec())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_row_for_each_family() {
        for family in Family::ALL {
            for (i, key) in keys(family).enumerate() {
                let rows = keys(family).filter(|k| k.name == key.name).count();
                assert_eq!(rows, 1, "{} of {family:?}, row {i}", key.name);
            }
        }
    }

    #[test]
    fn the_settings_of_each_family_are_among_them() {
        let (bert, distilled, roberta) = (Family::Bert, Family::DistilBert, Family::Roberta);
        assert!(find("hidden_size", bert).is_some() && find("hidden_size", distilled).is_none());
        assert!(find("qa_dropout", distilled).is_some() && find("qa_dropout", roberta).is_none());
    }
}
