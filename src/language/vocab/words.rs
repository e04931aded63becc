//! Words that are neither verbs nor settings: keywords, shapes of ramps, units.

use crate::settings::{Choice, Setting, Type};

/// A word that the grammar knows, or that joins the parts of a value.
#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    /// The word.
    pub name: &'static str,
    /// How it is written.
    pub form: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
}

const fn keyword(name: &'static str, form: &'static str, doc: &'static str) -> Keyword {
    Keyword { name, form, doc }
}

/// Words with a place of their own.
pub const KEYWORDS: &[Keyword] = &[
    keyword(
        "edition",
        "edition 2026",
        "The rules that the file is written for; the first line of every file.",
    ),
    keyword(
        "use",
        "use std.bert.{encoder_linears}",
        "Brings in names and templates of the standard library, or of a file: `use \"parts.obert\".{a, b}`.",
    ),
    keyword(
        "param",
        "param target: ratio = 90% in 50%..99%",
        "Declares a parameter with its type, default and range; `--set target=97%` gives it another value.",
    ),
    keyword("let", "let heads = params(\"qa_outputs.*\")", "Names a value."),
    keyword(
        "target",
        "target attention_linears: 80%",
        "In the block of `prune`: another final sparsity for some of its parameters.",
    ),
    keyword(
        "factor",
        "factor params(\"qa_outputs.*\"): 10",
        "In the block of `lr`: parameters that learn so many times faster.",
    ),
    keyword(
        "repeating",
        "8e-5 -> 8e-6 linear repeating 4 epochs",
        "Behind the shape of a learning rate: it starts again so often; the last step of a cycle reaches the end.",
    ),
    keyword(
        "except",
        "encoder_linears except attention_linears",
        "Parameters of the first set that are not in the second.",
    ),
    keyword("expect", "encoder_linears expect 72", "Behind a selector: how many parameters it must match."),
];

/// How a value moves from one end of a ramp to the other.
pub const SHAPES: &[Choice] = &[
    Choice::word("constant", "The last value from the start."),
    Choice::word("linear", "By equal steps in equal times; `warmup` is another word for it."),
    Choice::word("cubic", "Fast first, gentle at the end: `1 - (1 - x)³` of the way."),
    Choice::word("inverse_cubic", "Gentle first, fast at the end: `1 - ∛(1 - x)` of the way."),
    Choice::word("cosine", "Half a period of the cosine: gentle at both ends."),
    Choice::word("exponential", "By equal factors in equal times; both ends must be above zero."),
    Choice {
        name: "polynomial",
        arguments: &[Setting::required("power", Type::Number, "The power `p`, above zero.")],
        doc: "`1 - (1 - x)^p` of the way, as `polynomial(2)`.",
    },
];

/// Units with what they count.
pub const UNITS: &[(&str, &str)] = &[
    ("%", "hundredths"),
    ("epochs", "passes over the training data; also `epoch`"),
    ("steps", "steps of the optimizer; also `step`"),
    ("bytes", "memory; also `byte`"),
    ("KB", "1000 bytes"),
    ("MB", "1000 KB"),
    ("GB", "1000 MB"),
    ("TB", "1000 GB"),
    ("KiB", "1024 bytes"),
    ("MiB", "1024 KiB"),
    ("GiB", "1024 MiB"),
    ("TiB", "1024 GiB"),
];

/// The modifiers of SparseML, without the word they end with, each with the verb that does it here.
pub const MODIFIERS: &[(&str, &str)] = &[
    ("EpochRange", "recipe"),
    ("LearningRateFunction", "lr"),
    ("LearningRate", "lr"),
    ("SetLearningRate", "lr"),
    ("SetWeightDecay", "train"),
    ("TrainableParams", "freeze"),
    ("GMPruning", "prune"),
    ("MagnitudePruning", "prune"),
    ("GlobalMagnitudePruning", "prune"),
    ("MovementPruning", "prune"),
    ("StructuredPruning", "prune"),
    ("OBSPruning", "prune"),
    ("ConstantPruning", "hold"),
    ("LayerPruning", "drop"),
    ("LayerThinning", "drop"),
    ("Distillation", "distill"),
    ("PerLayerDistillation", "distill"),
    ("Quantization", "quantize"),
];

#[cfg(test)]
mod tests {
    use super::UNITS;
    use crate::language::syntax::ast::Unit;

    #[test]
    fn every_unit_can_be_read() {
        for (word, _) in UNITS {
            assert!(Unit::from_word(word).is_some(), "{word}");
        }
    }
}
