//! The names of tensors in checkpoints of old and new versions of `transformers`.

use super::Family;

/// The current name of a tensor; `None` for buffers, and for tied weights.
///
/// Checkpoints of a bare encoder lack the prefix `bert.`, those converted from TensorFlow name the parameters of a
/// layer normalization `gamma` and `beta`, and those of old versions of `transformers` store `position_ids` and the
/// output matrix that a language model shares with its word embeddings.
fn canonical(family: Family, name: &str) -> Option<String> {
    // A language model's output matrix is tied to the word embeddings, and old files hold it twice.
    let buffer = name.ends_with("position_ids") || name.ends_with("embeddings.token_type_ids");
    if buffer || name.starts_with(family.tied()) {
        return None;
    }
    let bare = family.is_bare_encoder(name) || name.starts_with("pooler.") && family.has_pooler();
    let name = if bare { format!("{}.{name}", family.prefix()) } else { name.to_owned() };
    let name = match name.strip_suffix(".LayerNorm.gamma") {
        Some(stem) => format!("{stem}.LayerNorm.weight"),
        None => name,
    };
    Some(match name.strip_suffix(".LayerNorm.beta") {
        Some(stem) => format!("{stem}.LayerNorm.bias"),
        None => name,
    })
}

/// The names of the tensors of a checkpoint: those of a family, and a common prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    family: Family,
    prefix: String,
}

/// Names of modules that wrap a whole model: those of PyTorch's `DataParallel`, `torch.compile` and FSDP, of
/// sentence-transformers, and common names in training programs. A number is an index in a `Sequential`.
const WRAPPERS: &[&str] = &[
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_forward_module",
    "auto_model",
    "base_model",
    "model",
    "net",
    "backbone",
];

impl Names {
    /// Finds the common prefix of a checkpoint whose model was wrapped in other modules, such as `module.`. With two
    /// encoders in a file there is none.
    pub fn of<'a>(family: Family, names: impl IntoIterator<Item = &'a str>) -> Names {
        let own = format!("{}.", family.prefix());
        // The tensor by which the prefix is found: every encoder has it.
        let words = family.bare_words();
        let before = |name: &'a str| {
            let before = name.strip_suffix(words.as_str())?;
            Some(before.strip_suffix(own.as_str()).unwrap_or(before))
        };
        let mut found: Vec<&str> = names.into_iter().filter_map(before).collect();
        found.sort_unstable();
        found.dedup();
        let wraps = |segment: &str| WRAPPERS.contains(&segment) || segment.parse::<u32>().is_ok();
        let is_wrapper = |prefix: &str| prefix.strip_suffix('.').is_some_and(|p| p.split('.').all(wraps));
        let prefix = match found[..] {
            [one] if is_wrapper(one) => one.to_owned(),
            _ => String::new(),
        };
        Names { family, prefix }
    }

    /// The common prefix, if there is one.
    pub fn prefix(&self) -> Option<&str> {
        (!self.prefix.is_empty()).then_some(self.prefix.as_str())
    }

    /// The current name of a tensor, without the prefix; `None` for buffers, and for tied weights.
    pub fn canonical(&self, name: &str) -> Option<String> {
        canonical(self.family, name.strip_prefix(self.prefix.as_str()).unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, Names, canonical};

    #[test]
    fn a_common_prefix_is_found_and_left_out() {
        let of = |family, names: &[&'static str]| Names::of(family, names.iter().copied());
        let words = "embeddings.word_embeddings.weight";
        for prefix in ["module.", "model.", "_orig_mod.", "module._orig_mod.", "0.auto_model."] {
            let whole = format!("{prefix}bert.{words}");
            let bare = format!("{prefix}{words}");
            for name in [whole.as_str(), bare.as_str()] {
                let names = Names::of(Family::Bert, [name, "classifier.weight"]);
                assert_eq!(names.prefix(), Some(prefix));
                assert_eq!(names.canonical(name).unwrap(), format!("bert.{words}"));
                assert_eq!(names.canonical(&format!("{prefix}qa_outputs.bias")).unwrap(), "qa_outputs.bias");
                assert_eq!(names.canonical("classifier.weight").unwrap(), "classifier.weight");
                let positions = format!("{prefix}bert.embeddings.position_ids");
                assert_eq!(names.canonical(&positions), None);
            }
        }
        assert_eq!(of(Family::Bert, &["bert.embeddings.word_embeddings.weight"]).prefix(), None);
        assert_eq!(of(Family::Bert, &["embeddings.word_embeddings.weight"]).prefix(), None);
        let two = ["a.embeddings.word_embeddings.weight", "b.embeddings.word_embeddings.weight"];
        assert_eq!(of(Family::Bert, &two).prefix(), None, "two encoders");
        let other = ["bert.embeddings.word_embeddings.weight"];
        assert_eq!(of(Family::Roberta, &other).prefix(), None, "another family's name is no prefix");
        let distilled = ["backbone.distilbert.embeddings.word_embeddings.weight"];
        assert_eq!(of(Family::DistilBert, &distilled).prefix(), Some("backbone."));
        let electra = ["electra.embeddings.word_embeddings.weight"];
        assert_eq!(of(Family::Bert, &electra).prefix(), None, "another architecture");
    }

    #[test]
    fn old_and_bare_names_become_the_present_ones() {
        let name = |n: &str| canonical(Family::Bert, n).unwrap_or_default();
        assert_eq!(name("embeddings.LayerNorm.gamma"), "bert.embeddings.LayerNorm.weight");
        assert_eq!(name("bert.encoder.layer.0.output.dense.bias"), "bert.encoder.layer.0.output.dense.bias");
        assert_eq!(name("qa_outputs.weight"), "qa_outputs.weight");
        assert_eq!(canonical(Family::Bert, "embeddings.position_ids"), None);
        let distilled = |n: &str| canonical(Family::DistilBert, n);
        assert_eq!(
            distilled("transformer.layer.0.ffn.lin1.bias").unwrap(),
            "distilbert.transformer.layer.0.ffn.lin1.bias"
        );
        assert_eq!(distilled("vocab_projector.weight"), None, "the word embeddings once more");
        assert_eq!(distilled("vocab_projector.bias").unwrap(), "vocab_projector.bias");
        assert_eq!(canonical(Family::Roberta, "encoder.x").unwrap(), "roberta.encoder.x");
    }
}
