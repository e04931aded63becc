//! Parameter tables of models of a given shape, and of well-known models by name.

pub use super::head::Head;
use super::{BertShape, Family, Parameter, ParameterTable};

/// The parameters of a BERT, with the names and the order of `transformers`.
pub fn bert(shape: &BertShape, head: Head) -> ParameterTable {
    of_family(Family::Bert, shape, head)
}

/// The parameters of a model of any family, in BERT's order. A shape without token types has no token type embeddings.
pub fn of_family(family: Family, shape: &BertShape, head: Head) -> ParameterTable {
    let mut list = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        list.push(Parameter { name: family.name(&name), shape: shape.to_vec() })
    };
    let BertShape { vocab, hidden, layers, intermediate, positions, types, .. } = *shape;
    let tables = [("word", vocab), ("position", positions), ("token_type", types)];
    for (name, rows) in tables.into_iter().take(if types == 0 { 2 } else { 3 }) {
        add(format!("bert.embeddings.{name}_embeddings.weight"), &[rows, hidden]);
    }
    add("bert.embeddings.LayerNorm.weight".into(), &[hidden]);
    add("bert.embeddings.LayerNorm.bias".into(), &[hidden]);
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
    list.extend(head_parameters(family, hidden, vocab, head));
    ParameterTable::new(list)
}

/// The parameters of a head on an encoder of this hidden size and vocabulary.
fn head_parameters(family: Family, hidden: usize, vocab: usize, head: Head) -> Vec<Parameter> {
    let new = |name: &str, shape: &[usize]| Parameter { name: family.name(name), shape: shape.to_vec() };
    match head {
        Head::QuestionAnswering => {
            vec![new("qa_outputs.weight", &[2, hidden]), new("qa_outputs.bias", &[2])]
        }
        Head::Classification { labels } => vec![
            new("bert.pooler.dense.weight", &[hidden, hidden]),
            new("bert.pooler.dense.bias", &[hidden]),
            new("classifier.weight", &[labels, hidden]),
            new("classifier.bias", &[labels]),
        ],
        Head::TokenClassification { labels } => {
            vec![new("token_classifier.weight", &[labels, hidden]), new("token_classifier.bias", &[labels])]
        }
        Head::Embedding => Vec::new(),
        // The decoder's weight is tied to the word embeddings.
        Head::MaskedLanguageModel => vec![
            new("cls.predictions.bias", &[vocab]),
            new("cls.predictions.transform.dense.weight", &[hidden, hidden]),
            new("cls.predictions.transform.dense.bias", &[hidden]),
            new("cls.predictions.transform.LayerNorm.weight", &[hidden]),
            new("cls.predictions.transform.LayerNorm.bias", &[hidden]),
        ],
    }
}

/// The table with its head replaced by this one. A table that has such a head already, or is of no known family, is
/// returned unchanged.
pub fn with_head(table: ParameterTable, head: Head) -> ParameterTable {
    let words = |family: &Family| {
        let words = table.find(&family.name("bert.embeddings.word_embeddings.weight"))?;
        let [vocab, hidden] = words.shape[..] else { return None };
        Some((*family, vocab, hidden))
    };
    let Some((family, vocab, hidden)) = Family::ALL.iter().find_map(words) else { return table };
    let wanted = head_parameters(family, hidden, vocab, head);
    let own = table.iter().filter(|p| !family.is_encoder(&p.name)).map(|p| &p.name);
    if own.eq(wanted.iter().map(|p| &p.name)) {
        return table;
    }
    let encoder = table.iter().filter(|p| family.is_encoder(&p.name));
    ParameterTable::new(encoder.cloned().chain(wanted).collect())
}

/// The parameters of a well-known model with this head; `None` for an unknown name.
pub fn well_known_table(name: &str, head: Head) -> Option<ParameterTable> {
    described(name).map(|(family, shape)| of_family(family, &shape, head))
}

/// The shape of a well-known model, so that recipes can be checked without its folder; `None` for an unknown name.
pub fn well_known(name: &str) -> Option<BertShape> {
    described(name).map(|(_, shape)| shape)
}

/// Family and shape of a well-known model, with or without its organization.
fn described(name: &str) -> Option<(Family, BertShape)> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let shape = |vocab, hidden, layers, heads| BertShape {
        vocab,
        hidden,
        layers,
        heads,
        intermediate: 4 * hidden,
        positions: 512,
        types: 2,
    };
    let roberta = |hidden, layers, heads| {
        (Family::Roberta, BertShape { positions: 514, types: 1, ..shape(50265, hidden, layers, heads) })
    };
    let distilled = |vocab| (Family::DistilBert, BertShape { types: 0, ..shape(vocab, 768, 6, 12) });
    let shape = match name {
        "roberta-base" => return Some(roberta(768, 12, 12)),
        "roberta-large" => return Some(roberta(1024, 24, 16)),
        "distilroberta-base" => return Some(roberta(768, 6, 12)),
        "distilbert-base-uncased" => return Some(distilled(30522)),
        "distilbert-base-cased" => return Some(distilled(28996)),
        "bert-base-uncased" => shape(30522, 768, 12, 12),
        "bert-base-cased" => shape(28996, 768, 12, 12),
        "bert-large-uncased" => shape(30522, 1024, 24, 16),
        "bert-large-cased" => shape(28996, 1024, 24, 16),
        "bert-mini" | "bert_uncased_L-4_H-256_A-4" => shape(30522, 256, 4, 4),
        "bert-tiny" | "bert_uncased_L-2_H-128_A-2" => shape(30522, 128, 2, 2),
        "MiniLM-L6-H384-uncased" | "all-MiniLM-L6-v2" => shape(30522, 384, 6, 12),
        "MiniLM-L12-H384-uncased" => shape(30522, 384, 12, 12),
        _ => return None,
    };
    Some((Family::Bert, shape))
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
