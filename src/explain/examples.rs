//! Examples of verbs, and of values by their types. `docs/reference.md` has them all, and every code block of
//! the documentation is tested.

use crate::language::vocab::Type;

use super::pages::Example;

/// An example of a verb.
pub(crate) fn of_verb(name: &str) -> Option<Example> {
    EXAMPLES.iter().find(|(verb, _, _)| *verb == name).map(|(_, kind, code)| Example { kind, code })
}

const RECIPE: &str = "obert";
const IN_RECIPE: &str = "obert,in-recipe";

const EXAMPLES: &[(&str, &str, &str)] = &[
    (
        "recipe",
        RECIPE,
        "edition 2026

recipe tune for 2 epochs {
  model: \"bert-base-uncased\"
  data: squad
  batch: 32
  lr { 0..2 epochs: 5e-5 -> 0 linear }
}",
    ),
    (
        "template",
        RECIPE,
        "edition 2026

template tune for 2 epochs {
  ## The peak of the learning rate.
  param peak: rate = 5e-5
  lr { 0..2 epochs: peak -> 0 linear }
}

recipe squad extends tune {
  model: \"bert-base-uncased\"
  data: squad
  peak: 3e-5
}",
    ),
    (
        "stage",
        RECIPE,
        "edition 2026
use std.bert.{encoder_linears}

recipe squad {
  model: \"bert-base-uncased\"
  data: squad
  stage dense for 2 epochs {
    lr { 0..2 epochs: 5e-5 -> 0 linear }
  }
  stage sparse for 10 epochs {
    lr { 0..10 epochs: 5e-5 -> 0 linear }
    prune encoder_linears over 2..8 epochs every 2 epochs {
      by: magnitude
      sparsity: 30% -> 80% cubic
    }
    distill from dense { hardness: 1.0 }
  }
}",
    ),
    (
        "branch",
        RECIPE,
        "edition 2026
use std.bert.{encoder_linears}

recipe compare {
  model: \"path/to/finetuned\"
  data: squad
  branch magnitude from start {
    prune encoder_linears { by: magnitude, sparsity: 60% }
  }
  branch obs from start {
    prune encoder_linears { by: obs(gradients: 256), sparsity: 60% }
  }
}",
    ),
    ("keep", IN_RECIPE, "keep layers [0, 2, 4, 6, 8, 10]"),
    ("drop", IN_RECIPE, "drop layers [1, 3, 5, 7, 9, 11]"),
    (
        "lr",
        IN_RECIPE,
        "lr {
  0..10% of run: 0 -> 8e-5 linear
  10%..100% of run: 8e-5 -> 8e-6 cosine
  factor params(\"qa_outputs.*\"): 10
}",
    ),
    (
        "prune",
        IN_RECIPE,
        "prune encoder_linears over 2..26 epochs every 4 epochs {
  by: obs(gradients: 1024, block: 50, damp: 1e-7, recompute: 4)
  sparsity: 70% -> 90% cubic
}",
    ),
    ("hold", IN_RECIPE, "hold encoder_linears"),
    ("freeze", IN_RECIPE, "freeze params(\"bert.embeddings.**\") over 0..2 epochs"),
    (
        "quantize",
        IN_RECIPE,
        "quantize encoder_linears over 20..30 epochs {
  weights: int8(symmetric, per: channel)
  activations: uint8(asymmetric)
  freeze: after 3 epochs
}",
    ),
    (
        "distill",
        IN_RECIPE,
        "distill from teacher { hardness: 1.0, temperature: 2.0, match: [start_logits, end_logits] }",
    ),
    ("train", IN_RECIPE, "train { weight_decay: 0.01, clip: 1.0, dropout: 10%, label_smoothing: 10% }"),
    ("evaluate", IN_RECIPE, "evaluate every 2 epochs { keep: best(f1) }"),
    ("allow", IN_RECIPE, "allow OB0701"),
    ("expect", IN_RECIPE, "expect { f1: 85.0 .. 100 }"),
];

/// A value of a type, as text.
pub(crate) fn sample(ty: Type) -> String {
    match ty {
        Type::Choice(choices) => match choices.first() {
            Some(choice) => choice.name.to_owned(),
            None => String::new(),
        },
        Type::Number => "0.01".into(),
        Type::Count | Type::Whole => "16".into(),
        Type::Text => "\"text\"".into(),
        Type::Model => "\"bert-base-uncased\"".into(),
        Type::Stage => "dense".into(),
        Type::Template => "gradual".into(),
        Type::NewName => "squad90".into(),
        // The description contains an example in backticks.
        other => other.described().split('`').nth(1).unwrap_or("…").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::vocab::VERBS;

    #[test]
    fn every_verb_has_an_example_of_itself() {
        for verb in VERBS {
            let example = of_verb(verb.name).unwrap_or_else(|| panic!("no example of `{}`", verb.name));
            assert!(example.code.contains(verb.name), "{}", example.code);
        }
        assert_eq!(EXAMPLES.len(), VERBS.len());
    }
}
