//! BERT, RoBERTa and DistilBERT: one encoder with three sets of names.
//!
//! The families differ in the names of parameters and settings, in the first row of the position embeddings, and in
//! their heads. The rest of the program uses BERT's names; [`Family::name`] translates them.

use super::head::Head;

/// A family of encoders, by the `model_type` of `config.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// `bert`: BERT, MiniLM and others.
    #[default]
    Bert,
    /// `roberta`: positions begin at `pad_token_id + 1`; one token type.
    Roberta,
    /// `distilbert`: no token types.
    DistilBert,
}

/// BERT's and DistilBERT's names of the modules of a layer; the longer first where one is a prefix of another.
const DISTILLED_LAYER: &[(&str, &str)] = &[
    ("attention.self.query.", "attention.q_lin."),
    ("attention.self.key.", "attention.k_lin."),
    ("attention.self.value.", "attention.v_lin."),
    ("attention.output.dense.", "attention.out_lin."),
    ("attention.output.LayerNorm.", "sa_layer_norm."),
    ("intermediate.dense.", "ffn.lin1."),
    ("output.dense.", "ffn.lin2."),
    ("output.LayerNorm.", "output_layer_norm."),
];

/// The names of the heads' parameters in BERT, RoBERTa and DistilBERT.
const HEADS: &[[&str; 3]] = &[
    ["bert.pooler.dense.", "classifier.dense.", "pre_classifier."],
    ["classifier.", "classifier.out_proj.", "classifier."],
    ["cls.predictions.transform.dense.", "lm_head.dense.", "vocab_transform."],
    ["cls.predictions.transform.LayerNorm.", "lm_head.layer_norm.", "vocab_layer_norm."],
    ["cls.predictions.bias", "lm_head.bias", "vocab_projector.bias"],
];

/// BERT's and DistilBERT's keys of the same settings in `config.json`.
pub(super) const DISTILLED_SETTINGS: &[(&str, &str)] = &[
    ("hidden_size", "dim"),
    ("num_hidden_layers", "n_layers"),
    ("num_attention_heads", "n_heads"),
    ("intermediate_size", "hidden_dim"),
    ("hidden_act", "activation"),
    ("hidden_dropout_prob", "dropout"),
    ("attention_probs_dropout_prob", "attention_dropout"),
];

impl Family {
    /// All families.
    pub const ALL: [Family; 3] = [Family::Bert, Family::Roberta, Family::DistilBert];

    /// The family of a `model_type`, if it is known.
    pub fn named(model_type: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.model_type() == model_type)
    }

    /// The `model_type`, which is also the prefix of the encoder's parameters.
    pub fn model_type(self) -> &'static str {
        ["bert", "roberta", "distilbert"][self as usize]
    }

    /// The prefix of classes of `transformers`, as in `RobertaForMaskedLM`.
    pub fn class(self) -> &'static str {
        ["Bert", "Roberta", "DistilBert"][self as usize]
    }

    /// The class of `transformers` for a model with this head.
    pub fn architecture(self, head: Head) -> String {
        let task = match head {
            Head::QuestionAnswering => "QuestionAnswering",
            Head::Classification { .. } => "SequenceClassification",
            Head::TokenClassification { .. } => "TokenClassification",
            Head::MaskedLanguageModel => "MaskedLM",
            Head::Embedding => return format!("{}Model", self.class()),
        };
        format!("{}For{task}", self.class())
    }

    /// The path of the embeddings module.
    pub fn embeddings(self) -> String {
        format!("{}.embeddings", self.model_type())
    }

    /// The path of an encoder layer's module.
    pub fn layer(self, index: usize) -> String {
        let layers = if self == Family::DistilBert { "transformer" } else { "encoder" };
        format!("{}.{layers}.layer.{index}", self.model_type())
    }

    /// Whether token type embeddings distinguish the texts of a pair.
    pub fn has_types(self) -> bool {
        self == Family::Bert
    }

    /// This family's name for a parameter of BERT. A name that BERT does not have is returned unchanged. The classifier
    /// of tokens is `token_classifier` here and `classifier` in every family; RoBERTa's classifier of texts is not.
    pub fn name(self, bert: &str) -> String {
        if let Some(rest) = bert.strip_prefix("token_classifier.") {
            return format!("classifier.{rest}");
        }
        if self == Family::Bert {
            return bert.to_owned();
        }
        for names in HEADS {
            if let Some(rest) = bert.strip_prefix(names[0]) {
                return format!("{}{rest}", names[self as usize]);
            }
        }
        let Some(rest) = bert.strip_prefix("bert.") else { return bert.to_owned() };
        let prefix = self.model_type();
        match (self, rest.strip_prefix("encoder.layer.").and_then(|layer| layer.split_once('.'))) {
            (Family::DistilBert, Some((layer, part))) => {
                let known = DISTILLED_LAYER
                    .iter()
                    .find_map(|(of_bert, own)| Some((own, part.strip_prefix(of_bert)?)));
                let own = known.map_or(part.to_owned(), |(own, last)| format!("{own}{last}"));
                format!("{prefix}.transformer.layer.{layer}.{own}")
            }
            _ => format!("{prefix}.{rest}"),
        }
    }

    /// Whether a parameter belongs to embeddings or encoder, by its name in this family. The others are the head's.
    pub fn is_encoder(self, name: &str) -> bool {
        let parts: &[&str] = match self {
            Family::DistilBert => &["embeddings.", "transformer."],
            _ => &["embeddings.", "encoder."],
        };
        let rest = name.strip_prefix(self.model_type()).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| parts.iter().any(|part| rest.starts_with(part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_own_names_for_the_same_parameters() {
        let names = |bert: &str| Family::ALL.map(|family| family.name(bert));
        let layer = |rest: &str| format!("bert.encoder.layer.11.{rest}");
        assert_eq!(
            names(&layer("attention.self.query.weight"))[1..],
            [
                "roberta.encoder.layer.11.attention.self.query.weight",
                "distilbert.transformer.layer.11.attention.q_lin.weight",
            ]
        );
        let distilled = |rest: &str| Family::DistilBert.name(&layer(rest));
        let at = "distilbert.transformer.layer.11";
        assert_eq!(distilled("attention.output.LayerNorm.bias"), format!("{at}.sa_layer_norm.bias"));
        assert_eq!(distilled("output.LayerNorm.bias"), format!("{at}.output_layer_norm.bias"));
        assert_eq!(distilled("output.dense.weight"), format!("{at}.ffn.lin2.weight"));
        assert_eq!(
            names("bert.pooler.dense.bias"),
            ["bert.pooler.dense.bias", "classifier.dense.bias", "pre_classifier.bias"]
        );
        assert_eq!(
            names("classifier.weight"),
            ["classifier.weight", "classifier.out_proj.weight", "classifier.weight"]
        );
        assert_eq!(names("qa_outputs.weight"), ["qa_outputs.weight"; 3]);
        assert_eq!(names("token_classifier.weight"), ["classifier.weight"; 3]);
        assert_eq!(Family::DistilBert.architecture(Head::Embedding), "DistilBertModel");
        assert_eq!(Family::Roberta.architecture(Head::MaskedLanguageModel), "RobertaForMaskedLM");
    }

    #[test]
    fn the_encoder_is_distinguished_from_the_head() {
        assert!(Family::DistilBert.is_encoder("distilbert.transformer.layer.0.ffn.lin1.weight"));
        assert!(Family::Bert.is_encoder("bert.embeddings.LayerNorm.bias"));
        assert!(!Family::Bert.is_encoder("bert.pooler.dense.weight"));
        assert!(!Family::Roberta.is_encoder("bert.embeddings.LayerNorm.bias"));
    }
}
