//! A key of `config.json` and its treatment, and the keys that several families share.

use super::architecture::ACTIVATIONS;
use super::config::MOST_LAYERS;

/// A key of `config.json`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// The key's name.
    pub name: &'static str,
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
    /// This integer alone.
    Exactly(usize),
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
    /// The `model_type` of a family.
    Family,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Truth,
    /// `true` alone.
    Always,
    /// For each layer whether it attends to all tokens or to near ones, or `null`.
    LayerTypes,
    /// The bases of rotary positions for both kinds of layers, or `null`.
    Rotary,
    /// A positive number.
    Positive,
    /// An integer, which may be negative.
    Signed,
    /// `c2p`, `p2c` or both (`pos_att_type`): a list, or a string separated by `|`; or `null`.
    DistanceTerms,
    /// A list of class names of `transformers`.
    Classes,
    /// Label names by output index.
    Names,
    /// Output indices by label name.
    Numbers,
    /// A `problem_type` of classification, or `null`.
    Problem,
}

/// A key that the computation depends on: the values that are accepted, and their meaning.
pub(super) const fn computed(name: &'static str, kind: Kind, what: &'static str) -> Key {
    Key { name, treatment: Treatment::Computed(kind, what) }
}

/// A key that must be off, for a reason.
pub(super) const fn refused(name: &'static str, why: &'static str) -> Key {
    Key { name, treatment: Treatment::Refused(why) }
}

/// A key without effect, for a reason.
pub(super) const fn without_effect(name: &'static str, why: &'static str) -> Key {
    Key { name, treatment: Treatment::WithoutEffect(why) }
}

/// The accepted activations.
pub(super) const ACTIVATION: Kind = Kind::OneOf(ACTIVATIONS);

/// What the keys of sizes mean in every family, whatever they are called.
pub(super) const HIDDEN: &str = "width of the hidden states; heads must divide it";
pub(super) const LAYERS: &str = "encoder layers";
pub(super) const ATTENTION_HEADS: &str = "attention heads of a layer";
pub(super) const INTERMEDIATE: &str = "width of the feed-forward layer";
pub(super) const ACTIVATION_OF: &str = "the activation of the feed-forward layers";
pub(super) const HIDDEN_DROPOUT: &str = "dropout of hidden states";
pub(super) const ATTENTION_DROPOUT: &str = "dropout of attention weights";
pub(super) const CLASSIFIER_DROPOUT: &str = "dropout before a classifier";
/// The accepted numbers of layers.
pub(super) const LAYER_COUNT: Kind = Kind::Count(MOST_LAYERS);

/// The keys of the sizes and settings of families with BERT's body.
pub(super) const BODY: &[Key] = &[
    computed("hidden_size", Kind::Size, HIDDEN),
    computed("num_hidden_layers", LAYER_COUNT, LAYERS),
    computed("num_attention_heads", Kind::Size, ATTENTION_HEADS),
    computed("intermediate_size", Kind::Size, INTERMEDIATE),
    computed("hidden_act", ACTIVATION, ACTIVATION_OF),
    computed("hidden_dropout_prob", Kind::Dropout, HIDDEN_DROPOUT),
    computed("attention_probs_dropout_prob", Kind::Dropout, ATTENTION_DROPOUT),
    computed("layer_norm_eps", Kind::Number, "the epsilon of every layer normalization"),
];

/// The key of classifiers with a dropout of their own.
pub(super) const CLASSIFIER: &[Key] =
    &[computed("classifier_dropout", Kind::MaybeDropout, CLASSIFIER_DROPOUT)];

/// The key of families with token types.
pub(super) const TYPES: &[Key] =
    &[computed("type_vocab_size", Kind::Size, "token types; with one, texts of a pair are not told apart")];

/// The key of learned positions.
pub(super) const ABSOLUTE: &[Key] =
    &[computed("position_embedding_type", Kind::OneOf(&["absolute"]), "learned absolute positions")];
