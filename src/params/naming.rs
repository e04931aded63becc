//! One set of names for checkpoints old and new.

/// The name under which a checkpoint's tensor is known here; `None` for buffers that are no
/// parameters.
///
/// Checkpoints of a bare encoder lack the `bert.` prefix, those converted from TensorFlow call a
/// layer normalisation's parameters `gamma` and `beta`, those of an old `transformers` store
/// `position_ids` and the shared output matrix of a language model.
pub fn canonical(name: &str) -> Option<String> {
    // A language model's last matrix is the word embeddings', and old files hold it twice.
    if name.ends_with("position_ids") || name.starts_with("cls.predictions.decoder.") {
        return None;
    }
    let bare = ["embeddings.", "encoder.", "pooler."].iter().any(|prefix| name.starts_with(prefix));
    let name = if bare { format!("bert.{name}") } else { name.to_owned() };
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
    use super::canonical;

    #[test]
    fn old_and_bare_names_become_the_present_ones() {
        let name = |n: &str| canonical(n).unwrap_or_default();
        assert_eq!(name("embeddings.LayerNorm.gamma"), "bert.embeddings.LayerNorm.weight");
        assert_eq!(name("bert.encoder.layer.0.output.dense.bias"), "bert.encoder.layer.0.output.dense.bias");
        assert_eq!(name("qa_outputs.weight"), "qa_outputs.weight");
        assert_eq!(canonical("embeddings.position_ids"), None);
    }
}
