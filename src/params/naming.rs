//! One set of names for checkpoints old and new.

use super::Family;

/// The name under which a tensor of a BERT's checkpoint is known here; `None` for buffers that are no
/// parameters.
///
/// Checkpoints of a bare encoder lack the `bert.` prefix, those converted from TensorFlow call a
/// layer normalisation's parameters `gamma` and `beta`, those of an old `transformers` store
/// `position_ids` and the shared output matrix of a language model.
pub fn canonical(name: &str) -> Option<String> {
    canonical_in(Family::Bert, name)
}

/// The same for any family.
pub fn canonical_in(family: Family, name: &str) -> Option<String> {
    // A language model's last matrix is the word embeddings', and old files hold it twice.
    let (twice, parts): (&str, &[&str]) = match family {
        Family::Bert => ("cls.predictions.decoder.", &["embeddings.", "encoder.", "pooler."]),
        Family::Roberta => ("lm_head.decoder.", &["embeddings.", "encoder.", "pooler."]),
        Family::DistilBert => ("vocab_projector.weight", &["embeddings.", "transformer."]),
    };
    if name.ends_with("position_ids")
        || name.ends_with("embeddings.token_type_ids")
        || name.starts_with(twice)
    {
        return None;
    }
    let bare = parts.iter().any(|part| name.starts_with(part));
    let name = if bare { format!("{}.{name}", family.model_type()) } else { name.to_owned() };
    let name = match name.strip_suffix(".LayerNorm.gamma") {
        Some(stem) => format!("{stem}.LayerNorm.weight"),
        None => name,
    };
    Some(match name.strip_suffix(".LayerNorm.beta") {
        Some(stem) => format!("{stem}.LayerNorm.bias"),
        None => name,
    })
}

#[cfg(test)]
mod tests {
    use super::{Family, canonical, canonical_in};

    #[test]
    fn old_and_bare_names_become_the_present_ones() {
        let name = |n: &str| canonical(n).unwrap_or_default();
        assert_eq!(name("embeddings.LayerNorm.gamma"), "bert.embeddings.LayerNorm.weight");
        assert_eq!(name("bert.encoder.layer.0.output.dense.bias"), "bert.encoder.layer.0.output.dense.bias");
        assert_eq!(name("qa_outputs.weight"), "qa_outputs.weight");
        assert_eq!(canonical("embeddings.position_ids"), None);
        let distilled = |n: &str| canonical_in(Family::DistilBert, n);
        assert_eq!(
            distilled("transformer.layer.0.ffn.lin1.bias").unwrap(),
            "distilbert.transformer.layer.0.ffn.lin1.bias"
        );
        assert_eq!(distilled("vocab_projector.weight"), None, "the word embeddings once more");
        assert_eq!(distilled("vocab_projector.bias").unwrap(), "vocab_projector.bias");
        assert_eq!(canonical_in(Family::Roberta, "encoder.x").unwrap(), "roberta.encoder.x");
    }
}
