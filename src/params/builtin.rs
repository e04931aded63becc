//! Parameter tables of models of a given shape, and of well-known models by name.

pub use super::head::Head;
use super::{Architecture, BertConfig, BertShape, Family, Parameter, ParameterTable};

/// The parameters of a BERT, with the names and the order of `transformers`.
pub fn bert(shape: &BertShape, head: Head) -> ParameterTable {
    table(&BertConfig::new(*shape).architecture(), head)
}

/// The parameters of a model, in BERT's order.
pub fn table(architecture: &Architecture, head: Head) -> ParameterTable {
    let family = architecture.family;
    let mut list = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        list.push(Parameter { name: family.name(&name), shape: shape.to_vec() })
    };
    let width = architecture.embedding;
    let BertShape { vocab, hidden, layers, intermediate, positions, types, .. } = architecture.shape;
    let tables = [("word", vocab), ("position", positions), ("token_type", types)];
    for (name, rows) in tables.into_iter().take(if types == 0 { 2 } else { 3 }) {
        add(format!("bert.embeddings.{name}_embeddings.weight"), &[rows, width]);
    }
    add("bert.embeddings.LayerNorm.weight".into(), &[width]);
    add("bert.embeddings.LayerNorm.bias".into(), &[width]);
    if architecture.projects_embeddings() {
        add("bert.embeddings_project.weight".into(), &[hidden, width]);
        add("bert.embeddings_project.bias".into(), &[hidden]);
    }
    for layer in 0..layers {
        let at = format!("bert.encoder.layer.{layer}");
        let mut linear = |name: &str, out: usize, inp: usize| {
            add(format!("{at}.{name}.weight"), &[out, inp]);
            add(format!("{at}.{name}.bias"), &[out]);
        };
        linear("attention.self.query", hidden, hidden);
        linear("attention.self.key", hidden, hidden);
        linear("attention.self.value", hidden, hidden);
        linear("attention.output.dense", hidden, hidden);
        add(format!("{at}.attention.output.LayerNorm.weight"), &[hidden]);
        add(format!("{at}.attention.output.LayerNorm.bias"), &[hidden]);
        let mut linear = |name: &str, out: usize, inp: usize| {
            add(format!("{at}.{name}.weight"), &[out, inp]);
            add(format!("{at}.{name}.bias"), &[out]);
        };
        linear("intermediate.dense", intermediate, hidden);
        linear("output.dense", hidden, intermediate);
        add(format!("{at}.output.LayerNorm.weight"), &[hidden]);
        add(format!("{at}.output.LayerNorm.bias"), &[hidden]);
    }
    list.extend(head_parameters(family, (hidden, width), vocab, head));
    ParameterTable::new(list)
}

/// The parameters of a head on an encoder of this hidden size, width of embeddings and vocabulary.
fn head_parameters(
    family: Family,
    (hidden, width): (usize, usize),
    vocab: usize,
    head: Head,
) -> Vec<Parameter> {
    let new = |name: &str, shape: &[usize]| Parameter { name: family.name(name), shape: shape.to_vec() };
    match head {
        Head::QuestionAnswering => {
            vec![new("qa_outputs.weight", &[2, hidden]), new("qa_outputs.bias", &[2])]
        }
        Head::Classification { .. } | Head::Regression | Head::MultiLabel { .. } => {
            let outputs = head.text_outputs().unwrap_or(0);
            vec![
                new("bert.pooler.dense.weight", &[hidden, hidden]),
                new("bert.pooler.dense.bias", &[hidden]),
                new("classifier.weight", &[outputs, hidden]),
                new("classifier.bias", &[outputs]),
            ]
        }
        Head::TokenClassification { labels } => {
            vec![new("token_classifier.weight", &[labels, hidden]), new("token_classifier.bias", &[labels])]
        }
        Head::Embedding => Vec::new(),
        // The decoder's weight is tied to the word embeddings.
        Head::MaskedLanguageModel => vec![
            new("cls.predictions.bias", &[vocab]),
            new("cls.predictions.transform.dense.weight", &[width, hidden]),
            new("cls.predictions.transform.dense.bias", &[width]),
            new("cls.predictions.transform.LayerNorm.weight", &[width]),
            new("cls.predictions.transform.LayerNorm.bias", &[width]),
        ],
    }
}

/// The table with its head replaced by this one. A table that has such a head already, or is of no known family, is
/// returned unchanged.
pub fn with_head(table: ParameterTable, head: Head) -> ParameterTable {
    let sizes = |family: &Family| {
        let words = table.find(&family.name("bert.embeddings.word_embeddings.weight"))?;
        let query = table.find(&family.name("bert.encoder.layer.0.attention.self.query.weight"))?;
        let [vocab, width] = words.shape[..] else { return None };
        Some((*family, (*query.shape.get(1)?, width), vocab))
    };
    let Some((family, widths, vocab)) = Family::ALL.iter().find_map(sizes) else { return table };
    let wanted = head_parameters(family, widths, vocab, head);
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

/// The shape of a well-known model, so that recipes can be checked without its folder; `None` for an unknown name.
pub fn well_known(name: &str) -> Option<BertShape> {
    described(name).map(|config| config.shape())
}

/// The configuration of a well-known model, with or without its organization, as far as its parameters depend on it.
fn described(name: &str) -> Option<BertConfig> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let of = |family: Family, vocab, hidden, layers, heads| {
        let (positions, types) = match family {
            Family::Bert | Family::Electra => (512, 2),
            Family::DistilBert => (512, 0),
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
    fn xlm_roberta_and_electra_have_their_published_numbers_of_parameters() {
        let encoder = |name| {
            let table = well_known_table(name, Head::QuestionAnswering).unwrap();
            table.count() - table.find("qa_outputs.weight").unwrap().count() - 2
        };
        // `sum(p.numel() for p in model.parameters())` of XLMRobertaModel without a pooler, and of ElectraModel.
        assert_eq!(encoder("xlm-roberta-base"), 277_453_056);
        assert_eq!(encoder("electra-small-discriminator"), 13_483_008);
        assert_eq!(encoder("electra-base-discriminator"), 108_891_648);
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
