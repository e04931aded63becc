//! The families of encoders, each described in a file of its own by a [`Description`].
//!
//! A description has the names of parameters and settings, the treatment of every key of `config.json`, and a function
//! that computes the [`Architecture`](super::architecture::Architecture). The rest of the program uses BERT's names;
//! [`Family::name`] translates them.

mod albert;
mod bert;
mod camembert;
mod deberta_v2;
mod description;
mod distilbert;
mod electra;
mod kind;
mod modernbert;
mod mpnet;
mod roberta;
mod xlm_roberta;

use super::head::Head;

use description::{Description, Setting};
pub use kind::Family;

/// Replaces the beginning of a name by the first pair whose first name it has.
fn renamed(names: &[(&str, &str)], name: &str) -> Option<String> {
    names.iter().find_map(|(bert, own)| Some(format!("{own}{}", name.strip_prefix(bert)?)))
}

impl Family {
    /// The family's description.
    pub(super) fn description(self) -> &'static Description {
        match self {
            Family::Bert => &bert::DESCRIPTION,
            Family::Roberta => &roberta::DESCRIPTION,
            Family::XlmRoberta => &xlm_roberta::DESCRIPTION,
            Family::Camembert => &camembert::DESCRIPTION,
            Family::DistilBert => &distilbert::DESCRIPTION,
            Family::Electra => &electra::DESCRIPTION,
            Family::Albert => &albert::DESCRIPTION,
            Family::Mpnet => &mpnet::DESCRIPTION,
            Family::DebertaV2 => &deberta_v2::DESCRIPTION,
            Family::ModernBert => &modernbert::DESCRIPTION,
        }
    }

    /// The family of a `model_type`, if it is known.
    pub fn named(model_type: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.model_type() == model_type)
    }

    /// The `model_type`.
    pub fn model_type(self) -> &'static str {
        self.description().model_type
    }

    /// The first part of the names of the encoder's parameters.
    pub fn prefix(self) -> &'static str {
        self.description().prefix
    }

    /// The prefix of classes of `transformers`, as in `RobertaForMaskedLM`.
    pub fn class(self) -> &'static str {
        self.description().class
    }

    /// The class of `transformers` for a model with this head.
    pub fn architecture(self, head: Head) -> String {
        let task = match head {
            Head::QuestionAnswering => "QuestionAnswering",
            Head::Classification { .. } | Head::Regression | Head::MultiLabel { .. } => {
                "SequenceClassification"
            }
            Head::TokenClassification { .. } => "TokenClassification",
            Head::MaskedLanguageModel => "MaskedLM",
            Head::Embedding => return format!("{}Model", self.class()),
        };
        format!("{}For{task}", self.class())
    }

    /// The path of the embeddings module.
    pub fn embeddings(self) -> String {
        format!("{}.embeddings", self.prefix())
    }

    /// The path of an encoder layer's module.
    pub fn layer(self, index: usize) -> String {
        format!("{}.{}.{index}", self.prefix(), self.description().layers)
    }

    /// The name of the word embeddings in a checkpoint of a bare encoder.
    pub(super) fn bare_words(self) -> String {
        let words = self.name("bert.embeddings.word_embeddings.weight");
        words[self.prefix().len() + 1..].to_owned()
    }

    /// The output matrix of a language model that is tied to the word embeddings.
    pub(super) fn tied(self) -> &'static str {
        self.description().tied
    }

    /// The sizes that `transformers` assumes where `config.json` leaves them out, by BERT's keys.
    pub(super) fn assumed_sizes(self) -> impl Iterator<Item = (&'static str, Setting)> {
        let own = self.description().sizes;
        let is_bert = |key: &str| bert::SIZES.iter().any(|(of_bert, _)| *of_bert == key);
        let of_bert =
            bert::SIZES.iter().map(|size| *own.iter().find(|(key, _)| *key == size.0).unwrap_or(size));
        of_bert.chain(own.iter().copied().filter(move |(key, _)| !is_bert(key)))
    }

    /// The family's key of a setting in `config.json`, by BERT's key.
    pub fn key(self, bert: &str) -> &str {
        let own = self.description().settings.iter().find(|(of_bert, _)| *of_bert == bert);
        own.map_or(bert, |(_, own)| own)
    }

    /// This family's name for a parameter of BERT. A name that BERT does not have is returned unchanged. The head of
    /// token classification is called `token_classifier` here and `classifier` in every family. It has a name of its
    /// own here because RoBERTa renames the parameters of its sequence classifier, but not of its token classifier.
    pub fn name(self, bert: &str) -> String {
        if let Some(rest) = bert.strip_prefix("token_classifier.") {
            return format!("classifier.{rest}");
        }
        let own = self.description();
        if let Some(name) = renamed(own.heads, bert) {
            return name;
        }
        let Some(rest) = bert.strip_prefix("bert.") else { return bert.to_owned() };
        let prefix = own.prefix;
        match rest.strip_prefix("encoder.layer.").and_then(|layer| layer.split_once('.')) {
            Some((layer, part)) => {
                let part = renamed(own.layer, part).unwrap_or_else(|| part.to_owned());
                format!("{prefix}.{}.{layer}.{part}", own.layers)
            }
            None => format!("{prefix}.{}", renamed(own.modules, rest).unwrap_or_else(|| rest.to_owned())),
        }
    }

    /// Whether the pooler belongs to the encoder; in other families it belongs to the head.
    pub(super) fn has_pooler(self) -> bool {
        !self.description().heads.iter().any(|(_, own)| own.starts_with("pooler."))
    }

    /// Whether a parameter belongs to embeddings or encoder, by its name in this family. The others are the head's.
    pub fn is_encoder(self, name: &str) -> bool {
        let rest = name.strip_prefix(self.prefix()).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| self.is_bare_encoder(rest))
    }

    /// The same for a name without the family's prefix.
    pub(super) fn is_bare_encoder(self, name: &str) -> bool {
        self.description().encoder.iter().any(|part| name.starts_with(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [Family; 3] = [Family::Bert, Family::Roberta, Family::DistilBert];

    #[test]
    fn each_family_has_its_own_names_for_the_same_parameters() {
        let names = |bert: &str| FIRST.map(|family| family.name(bert));
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
    fn families_of_one_body_share_names() {
        let query = "bert.encoder.layer.0.attention.self.query.weight";
        assert_eq!(Family::XlmRoberta.name(query), "roberta.encoder.layer.0.attention.self.query.weight");
        assert_eq!(Family::Camembert.name("classifier.bias"), "classifier.out_proj.bias");
        assert_eq!(Family::Electra.name("bert.embeddings_project.bias"), "electra.embeddings_project.bias");
        let head = Head::Classification { labels: 2 };
        assert_eq!(Family::XlmRoberta.architecture(head), "XLMRobertaForSequenceClassification");
    }

    #[test]
    fn the_encoder_is_distinguished_from_the_head() {
        assert!(Family::DistilBert.is_encoder("distilbert.transformer.layer.0.ffn.lin1.weight"));
        assert!(Family::Bert.is_encoder("bert.embeddings.LayerNorm.bias"));
        assert!(!Family::Bert.is_encoder("bert.pooler.dense.weight"));
        assert!(!Family::Roberta.is_encoder("bert.embeddings.LayerNorm.bias"));
        assert!(Family::Electra.is_encoder("electra.embeddings_project.weight"));
    }
}
