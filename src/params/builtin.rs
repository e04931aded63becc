//! Parameter tables of models of a given shape, and of well-known models by name.

use super::architecture::LayerKind;
pub use super::head::Head;
use super::{Architecture, BertConfig, BertShape, Family, Parameter, ParameterTable};

/// The parameters of a BERT, with the names and the order of `transformers`.
pub fn bert(shape: &BertShape, head: Head) -> ParameterTable {
    table(&BertConfig::new(*shape).architecture(), head)
}

/// The parameters of a model, in BERT's order.
pub fn table(architecture: &Architecture, head: Head) -> ParameterTable {
    let mut list = List { architecture, parameters: Vec::new() };
    let width = architecture.embedding;
    let BertShape { vocab, hidden, positions, types, .. } = architecture.shape;
    let positions = if architecture.positions.table { positions } else { 0 };
    for (name, rows) in [("word", vocab), ("position", positions), ("token_type", types)] {
        if rows > 0 {
            list.add(&format!("bert.embeddings.{name}_embeddings.weight"), &[rows, width]);
        }
    }
    list.norm("bert.embeddings.LayerNorm", width);
    if architecture.projects {
        list.linear("bert.embeddings_project", [hidden, width], true);
    }
    for layer in 0..architecture.distinct_layers() {
        match architecture.layers {
            LayerKind::PostNorm => list.post_norm(&format!("bert.encoder.layer.{layer}")),
            LayerKind::PreNormGated => list.pre_norm(&format!("bert.encoder.layers.{layer}"), layer > 0),
        }
    }
    if architecture.layers == LayerKind::PreNormGated {
        list.norm("bert.encoder.final_norm", hidden);
    }
    if let Some(buckets) = architecture.positions.buckets {
        list.add("bert.encoder.relative_attention_bias.weight", &[buckets.count, architecture.shape.heads]);
    }
    if let Some(of) = architecture.positions.disentangled {
        list.add("bert.encoder.rel_embeddings.weight", &[2 * of.span, hidden]);
        if of.norm {
            list.norm("bert.encoder.LayerNorm", hidden);
        }
    }
    list.head(head);
    ParameterTable::new(list.parameters)
}

/// Parameters under the names of the architecture's family.
struct List<'a> {
    architecture: &'a Architecture,
    parameters: Vec<Parameter>,
}

impl List<'_> {
    fn add(&mut self, name: &str, shape: &[usize]) {
        let name = self.architecture.family.name(name);
        self.parameters.push(Parameter { name, shape: shape.to_vec() });
    }

    /// A linear layer, `[out, in]`.
    fn linear(&mut self, name: &str, shape: [usize; 2], bias: bool) {
        self.add(&format!("{name}.weight"), &shape);
        if bias {
            self.add(&format!("{name}.bias"), &shape[..1]);
        }
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), &[width]);
        if self.architecture.biases.norm {
            self.add(&format!("{name}.bias"), &[width]);
        }
    }

    /// A layer of BERT's structure.
    fn post_norm(&mut self, at: &str) {
        let BertShape { hidden, intermediate, .. } = self.architecture.shape;
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            if part == "output.dense" {
                self.distances(at);
            }
            self.linear(&format!("{at}.attention.{part}"), [hidden, hidden], true);
        }
        self.norm(&format!("{at}.attention.output.LayerNorm"), hidden);
        self.linear(&format!("{at}.intermediate.dense"), [intermediate, hidden], true);
        self.linear(&format!("{at}.output.dense"), [hidden, intermediate], true);
        self.norm(&format!("{at}.output.LayerNorm"), hidden);
    }

    /// A layer's projections of the relative position embeddings.
    fn distances(&mut self, at: &str) {
        let hidden = self.architecture.shape.hidden;
        let Some(of) = self.architecture.positions.disentangled.filter(|of| !of.shared) else { return };
        for (_, name) in [(of.content_to_position, "pos_key"), (of.position_to_content, "pos_query")]
            .into_iter()
            .filter(|(has, _)| *has)
        {
            self.linear(&format!("{at}.attention.self.{name}"), [hidden, hidden], true);
        }
    }

    /// A layer with normalizations before its parts and a gated feed-forward network.
    fn pre_norm(&mut self, at: &str, attention_norm: bool) {
        let BertShape { hidden, intermediate, .. } = self.architecture.shape;
        let biases = self.architecture.biases;
        if attention_norm {
            self.norm(&format!("{at}.attn_norm"), hidden);
        }
        self.linear(&format!("{at}.attn.Wqkv"), [3 * hidden, hidden], biases.attention);
        self.linear(&format!("{at}.attn.Wo"), [hidden, hidden], biases.attention);
        self.norm(&format!("{at}.mlp_norm"), hidden);
        self.linear(&format!("{at}.mlp.Wi"), [2 * intermediate, hidden], biases.feed_forward);
        self.linear(&format!("{at}.mlp.Wo"), [hidden, intermediate], biases.feed_forward);
    }

    fn head(&mut self, head: Head) {
        let BertShape { hidden, vocab, .. } = self.architecture.shape;
        let (heads, bias) = (&self.architecture.heads, self.architecture.biases.pooler);
        let pools = head.text_outputs().is_some()
            || heads.transforms_tokens
                && matches!(head, Head::QuestionAnswering | Head::TokenClassification { .. });
        let (width, pooler_norm) = (self.architecture.embedding, heads.pooler_norm);
        if pools {
            self.linear("bert.pooler.dense", [hidden, hidden], bias);
            if pooler_norm {
                self.norm("bert.pooler.LayerNorm", hidden);
            }
        }
        match head {
            Head::QuestionAnswering => self.linear("qa_outputs", [2, hidden], true),
            Head::Classification { .. } | Head::Regression | Head::MultiLabel { .. } => {
                self.linear("classifier", [head.text_outputs().unwrap_or(0), hidden], true);
            }
            Head::TokenClassification { labels } => self.linear("token_classifier", [labels, hidden], true),
            Head::Embedding => {}
            // The decoder's weight is tied to the word embeddings.
            Head::MaskedLanguageModel => {
                self.add("cls.predictions.bias", &[vocab]);
                self.linear("cls.predictions.transform.dense", [width, hidden], bias);
                self.norm("cls.predictions.transform.LayerNorm", width);
            }
        }
    }
}

/// The table with its head replaced by this one. A table that has such a head already, or is of no known family, is
/// returned unchanged.
pub fn with_head(table: ParameterTable, head: Head) -> ParameterTable {
    let sizes = |family: &Family| {
        let words = table.find(&family.name("bert.embeddings.word_embeddings.weight"))?;
        let query = table.find(&family.name("bert.encoder.layer.0.attention.self.query.weight"))?;
        let [vocab, width] = words.shape[..] else { return None };
        let shape = BertShape { vocab, hidden: *query.shape.get(1)?, ..BertShape::default() };
        let config = BertConfig { model_type: family.model_type().to_owned(), ..BertConfig::new(shape) };
        let mut architecture = config.architecture();
        architecture.embedding = width;
        architecture.biases.norm = table.find(&family.name("bert.embeddings.LayerNorm.bias")).is_some();
        Some(architecture)
    };
    let Some(architecture) = Family::ALL.iter().find_map(sizes) else { return table };
    let family = architecture.family;
    let mut wanted = List { architecture: &architecture, parameters: Vec::new() };
    wanted.head(head);
    let wanted = wanted.parameters;
    let own = table.iter().filter(|p| !family.is_encoder(&p.name)).map(|p| &p.name);
    if own.eq(wanted.iter().map(|p| &p.name)) {
        return table;
    }
    let encoder = table.iter().filter(|p| family.is_encoder(&p.name));
    ParameterTable::new(encoder.cloned().chain(wanted).collect())
}

/// The parameters of a well-known model with this head; `None` for an unknown name.
pub fn well_known_table(name: &str, head: Head) -> Option<ParameterTable> {
    described(name).map(|config| table(&config.architecture(), head))
}

/// The architecture of a well-known model; `None` for an unknown name.
pub fn well_known_architecture(name: &str) -> Option<Architecture> {
    described(name).map(|config| config.architecture())
}

/// The configuration of a well-known model; `None` for an unknown name.
pub fn well_known_config(name: &str) -> Option<BertConfig> {
    described(name)
}

/// The shape of a well-known model, so that recipes can be checked without its folder; `None` for an unknown name.
pub fn well_known(name: &str) -> Option<BertShape> {
    described(name).map(|config| config.shape())
}

/// The configuration of a well-known model, with or without its organization, as far as its parameters depend on it.
fn described(name: &str) -> Option<BertConfig> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let of = |family: Family, vocab, hidden, layers, heads| {
        let (positions, types) = match family {
            Family::ModernBert => (8192, 0),
            Family::Bert | Family::Electra | Family::Albert => (512, 2),
            Family::DebertaV2 => (512, 0),
            Family::DistilBert => (512, 0),
            Family::Mpnet => (514, 0),
            _ => (514, 1),
        };
        let intermediate = 4 * hidden;
        let shape = BertShape { vocab, hidden, layers, heads, intermediate, positions, types };
        BertConfig { model_type: family.model_type().to_owned(), ..BertConfig::new(shape) }
    };
    let electra = |embedding: usize, hidden, heads| {
        let mut config = of(Family::Electra, 30522, hidden, 12, heads);
        config.rest.insert("embedding_size".to_owned(), embedding.into());
        config
    };
    let deberta = |vocab, hidden, layers, heads| {
        let mut config = of(Family::DebertaV2, vocab, hidden, layers, heads);
        config.rest.insert("position_buckets".to_owned(), 256.into());
        config.rest.insert("pos_att_type".to_owned(), "p2c|c2p".into());
        config.rest.insert("norm_rel_ebd".to_owned(), "layer_norm".into());
        config.rest.insert("share_att_key".to_owned(), true.into());
        config.rest.insert("position_biased_input".to_owned(), false.into());
        config
    };
    let albert = |hidden, layers, heads| {
        let mut config = of(Family::Albert, 30_000, hidden, layers, heads);
        config.rest.insert("embedding_size".to_owned(), 128.into());
        config
    };
    let modern = |vocab, hidden, layers, heads, intermediate| {
        let config = of(Family::ModernBert, vocab, hidden, layers, heads);
        BertConfig { intermediate_size: intermediate, ..config }
    };
    Some(match name {
        "roberta-base" => of(Family::Roberta, 50265, 768, 12, 12),
        "roberta-large" => of(Family::Roberta, 50265, 1024, 24, 16),
        "distilroberta-base" => of(Family::Roberta, 50265, 768, 6, 12),
        "distilbert-base-uncased" => of(Family::DistilBert, 30522, 768, 6, 12),
        "distilbert-base-cased" => of(Family::DistilBert, 28996, 768, 6, 12),
        "bert-base-uncased" => of(Family::Bert, 30522, 768, 12, 12),
        "bert-base-cased" => of(Family::Bert, 28996, 768, 12, 12),
        "bert-large-uncased" => of(Family::Bert, 30522, 1024, 24, 16),
        "bert-large-cased" => of(Family::Bert, 28996, 1024, 24, 16),
        "bert-mini" | "bert_uncased_L-4_H-256_A-4" => of(Family::Bert, 30522, 256, 4, 4),
        "bert-tiny" | "bert_uncased_L-2_H-128_A-2" => of(Family::Bert, 30522, 128, 2, 2),
        "MiniLM-L6-H384-uncased" | "all-MiniLM-L6-v2" => of(Family::Bert, 30522, 384, 6, 12),
        "MiniLM-L12-H384-uncased" => of(Family::Bert, 30522, 384, 12, 12),
        "xlm-roberta-base" | "multilingual-e5-base" => of(Family::XlmRoberta, 250002, 768, 12, 12),
        "xlm-roberta-large" | "multilingual-e5-large" => of(Family::XlmRoberta, 250002, 1024, 24, 16),
        "mpnet-base" | "all-mpnet-base-v2" => of(Family::Mpnet, 30527, 768, 12, 12),
        "ModernBERT-base" => modern(50368, 768, 22, 12, 1152),
        "ModernBERT-large" => modern(50368, 1024, 28, 16, 2624),
        "mmBERT-base" => modern(256000, 768, 22, 12, 1152),
        "mmBERT-small" => modern(256000, 384, 22, 6, 1152),
        "deberta-v3-xsmall" => deberta(128_100, 384, 12, 6),
        "deberta-v3-small" => deberta(128_100, 768, 6, 12),
        "deberta-v3-base" => deberta(128_100, 768, 12, 12),
        "deberta-v3-large" => deberta(128_100, 1024, 24, 16),
        "mdeberta-v3-base" => deberta(251_000, 768, 12, 12),
        "albert-base-v2" => albert(768, 12, 12),
        "albert-large-v2" => albert(1024, 24, 16),
        "camembert-base" => of(Family::Camembert, 32005, 768, 12, 12),
        "electra-small-discriminator" => electra(128, 256, 4),
        "electra-base-discriminator" => electra(768, 768, 12),
        _ => return None,
    })
}

/// The names that [`well_known`] accepts, for suggestions.
pub const WELL_KNOWN: &[&str] = &[
    "bert-base-uncased",
    "bert-base-cased",
    "bert-large-uncased",
    "bert-large-cased",
    "bert-mini",
    "bert-tiny",
    "MiniLM-L6-H384-uncased",
    "all-MiniLM-L6-v2",
    "MiniLM-L12-H384-uncased",
    "roberta-base",
    "roberta-large",
    "distilroberta-base",
    "distilbert-base-uncased",
    "distilbert-base-cased",
    "xlm-roberta-base",
    "xlm-roberta-large",
    "multilingual-e5-base",
    "multilingual-e5-large",
    "camembert-base",
    "deberta-v3-xsmall",
    "deberta-v3-small",
    "deberta-v3-base",
    "deberta-v3-large",
    "mdeberta-v3-base",
    "albert-base-v2",
    "albert-large-v2",
    "ModernBERT-base",
    "ModernBERT-large",
    "mmBERT-base",
    "mmBERT-small",
    "mpnet-base",
    "all-mpnet-base-v2",
    "electra-small-discriminator",
    "electra-base-discriminator",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bert_base_has_its_published_number_of_parameters() {
        let base = well_known("bert-base-uncased").unwrap();
        let table = bert(&base, Head::QuestionAnswering);
        assert_eq!(table.count(), 108_893_186);
        let encoder: usize =
            table.iter().filter(|p| p.is_prunable() && p.name.contains("encoder")).map(|p| p.count()).sum();
        assert_eq!(encoder, 84_934_656);
    }

    #[test]
    fn roberta_and_distilbert_have_their_published_numbers_of_parameters() {
        let count = |name, head| well_known_table(name, head).unwrap().count();
        // 124,055,040 of the encoder, 768 × 2 + 2 of the head.
        assert_eq!(count("roberta-base", Head::QuestionAnswering), 124_056_578);
        assert_eq!(count("distilbert-base-uncased", Head::MaskedLanguageModel), 66_985_530);
        assert_eq!(count("distilbert-base-uncased", Head::Classification { labels: 2 }), 66_955_010);
    }

    #[test]
    fn the_newer_families_have_their_published_numbers_of_parameters() {
        let encoder = |name| {
            let table = well_known_table(name, Head::QuestionAnswering).unwrap();
            table.count() - table.find("qa_outputs.weight").unwrap().count() - 2
        };
        // `sum(p.numel() for p in model.parameters())` of XLMRobertaModel without a pooler, ElectraModel, MPNetModel and ModernBertModel.
        assert_eq!(encoder("xlm-roberta-base"), 277_453_056);
        assert_eq!(encoder("electra-small-discriminator"), 13_483_008);
        assert_eq!(encoder("electra-base-discriminator"), 108_891_648);
        assert_eq!(encoder("all-mpnet-base-v2"), 108_895_872);
        let modern = well_known_table("ModernBERT-base", Head::Embedding).unwrap();
        assert_eq!(modern.count(), 149_014_272);
        let albert = well_known_table("albert-base-v2", Head::Embedding).unwrap();
        assert_eq!(albert.count(), 11_092_992);
        let deberta = well_known_table("deberta-v3-small", Head::Embedding).unwrap();
        assert_eq!(deberta.count(), 141_304_320);
    }

    #[test]
    fn a_table_gets_the_head_that_the_data_needs() {
        let mini = well_known("bert-mini").unwrap();
        let labels = Head::Classification { labels: 3 };
        assert_eq!(with_head(bert(&mini, Head::MaskedLanguageModel), labels), bert(&mini, labels));
        let distilled = |head| well_known_table("distilbert-base-uncased", head).unwrap();
        assert_eq!(with_head(distilled(Head::QuestionAnswering), labels), distilled(labels));
        let tokens = Head::TokenClassification { labels: 3 };
        assert_eq!(with_head(bert(&mini, labels), tokens), bert(&mini, tokens), "no pooler is left");
        assert_eq!(with_head(bert(&mini, labels), Head::Embedding), bert(&mini, Head::Embedding));
        let other = ParameterTable::new(vec![Parameter { name: "x.weight".into(), shape: vec![2, 2] }]);
        assert_eq!(with_head(other.clone(), labels), other);
    }

    #[test]
    fn every_suggested_name_is_known() {
        assert!(WELL_KNOWN.iter().all(|name| well_known(name).is_some()));
    }
}
