//! Words that are neither verbs nor settings: keywords, shapes of ramps, units, and SparseML's modifiers.

use crate::settings::{Choice, Setting, Type};

/// A keyword of the grammar, or a word that joins the parts of a value.
#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    /// The word.
    pub name: &'static str,
    /// An example of its use.
    pub form: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
}

const fn keyword(name: &'static str, form: &'static str, doc: &'static str) -> Keyword {
    Keyword { name, form, doc }
}

/// The keywords.
pub const KEYWORDS: &[Keyword] = &[
    keyword("edition", "edition 2026", "The edition of the language; the first line of every file."),
    keyword(
        "use",
        "use std.bert.{encoder_linears}",
        "Imports names and templates of the standard library, or of a file: `use \"parts.obert\".{a, b}`.",
    ),
    keyword(
        "param",
        "param target: ratio = 90% in 50%..99%",
        "Declares a parameter with its type, default and range; `--set target=97%` gives it another value.",
    ),
    keyword("let", "let heads = params(\"qa_outputs.*\")", "Gives a name to a value."),
    keyword(
        "target",
        "target attention_linears: 80%",
        "In the block of `prune`: another final sparsity for some of its parameters.",
    ),
    keyword(
        "factor",
        "factor params(\"qa_outputs.*\"): 10",
        "In the block of `lr`: a factor on the learning rate of some parameters.",
    ),
    keyword(
        "repeating",
        "8e-5 -> 8e-6 linear repeating 4 epochs",
        "After the shape of a learning rate: the length of its cycles; the last step of a cycle has the final value.",
    ),
    keyword(
        "except",
        "encoder_linears except attention_linears",
        "Parameters of the first set that are not in the second.",
    ),
    keyword("expect", "encoder_linears expect 72", "After a selector: how many parameters it must match."),
];

/// Shapes of ramps: the fraction of the way from the first to the last value at fraction `x` of the time.
pub const SHAPES: &[Choice] = &[
    Choice::word("constant", "`1`: the last value during the whole window."),
    Choice::word("linear", "`x`; `warmup` is another word for it."),
    Choice::word("cubic", "`1 - (1 - x)³`: steep first, flat at the end."),
    Choice::word("inverse_cubic", "`1 - ∛(1 - x)`: flat first, steep at the end."),
    Choice::word("cosine", "`(1 - cos πx) / 2`: flat at both ends."),
    Choice::word("exponential", "The value is `from · (to / from)^x`; both must be above zero."),
    Choice {
        name: "polynomial",
        arguments: &[Setting::required("power", Type::Number, "The power `p`, above zero.")],
        doc: "`1 - (1 - x)^p`, as `polynomial(2)`.",
    },
];

/// Units with their meanings.
pub const UNITS: &[(&str, &str)] = &[
    ("%", "hundredths of a whole; `10% of run` is a share of the length of the stage"),
    ("epochs", "passes over the training data; also `epoch`"),
    ("steps", "optimizer steps; also `step`"),
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

/// SparseML's modifiers without the suffix `Modifier`, each with the verb that replaces it.
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
