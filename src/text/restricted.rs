//! Keys of `tokenizer_config.json` of which only some values are supported.

use serde_json::Value;

/// Tells whether a value is supported.
type Accepts = fn(&Value) -> bool;

/// Keys that change token ids and are supported for some values alone: the key, its supported values, why no others,
/// and the help.
pub(super) const RESTRICTED: &[(&str, Accepts, &str, &str)] = &[
    (
        "word_tokenizer_type",
        |v| v == "basic",
        "obert runs no morphological analyzer such as MeCab",
        OTHER_MODEL,
    ),
    ("subword_tokenizer_type", |v| v == "wordpiece", "obert splits words by WordPiece", OTHER_MODEL),
    ("do_word_tokenize", |v| *v == true, "obert splits texts into words", OTHER_MODEL),
    ("do_subword_tokenize", |v| *v == true, "obert splits words into subwords", OTHER_MODEL),
    (
        "do_basic_tokenize",
        |v| *v == true,
        "obert splits at spaces and punctuation",
        "remove the key if the model was trained with `AutoTokenizer`, which ignores it",
    ),
    (
        "never_split",
        is_empty_or_special,
        "obert splits every word that is no added token",
        "list these words in `added_tokens_decoder`, or remove the key if the model was trained with \
         `AutoTokenizer`, which ignores it",
    ),
    (
        "split_special_tokens",
        |v| *v == false,
        "obert does not split special tokens",
        "set it to false if your texts contain no special tokens",
    ),
    (
        "truncation_side",
        |v| v == "right",
        "obert truncates texts on the right",
        "set it to \"right\", or shorten the texts yourself",
    ),
    (
        "sp_model_kwargs",
        is_empty_or_special,
        "obert does not sample segmentations",
        "remove the key: tokenizer.json holds the SentencePiece model",
    ),
    (
        "init_inputs",
        is_empty_or_special,
        "obert knows no positional arguments of a tokenizer class",
        "write them as keys, such as `do_lower_case`",
    ),
];

/// The help where another model is needed.
pub(super) const OTHER_MODEL: &str = "choose a model whose tokenizer is WordPiece, byte-level BPE or Unigram, such as \
                           `bert-base-multilingual-cased`";

/// Whether a value is an empty list or object, or a list of special tokens, which are never split.
fn is_empty_or_special(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().all(|v| v.as_str().is_some_and(|t| t.starts_with('['))),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
