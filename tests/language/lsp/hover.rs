//! Hover: meaning, type, default, the value here, what a selector matches, and values over time.

use obert::internals::lsp::hover::hover;
use obert::internals::lsp::position::Encoding;
use obert::internals::lsp::snapshot::Snapshot;
use serde_json::json;

use super::client::{Client, place, plain, range};

const RECIPE: &str = "edition 2026
use std.bert.{encoder_linears}
use std.obert.gradual

## The final sparsity.
param target: ratio = 80% in 50%..95%
let peak = 8e-5
let heads = params(\"qa_outputs.*\")

recipe r {
  model: bert(layers: 2, hidden: 128, heads: 2)
  data: builtin_reading(train: 640, dev: 64)
  stage dense for 4 epochs {
    lr {
      0..1 epochs: 0 -> peak
      1..4 epochs: peak -> peak / 10 cosine
    }
    freeze heads
  }
  ## Pruned by OBS.
  stage sparse for 4 epochs {
    lr { 0..4 epochs: peak -> 0 linear }
    prune encoder_linears over 0..3 epochs every 1 epoch {
      by: obs(gradients: 64, block: 32)
      sparsity: 30% -> target cubic
    }
    distill from dense
    hold re\"bert\\.embeddings.*\" over 1..2 epochs
  }
  allow OB0701
}
";

fn text_at(snapshot: &Snapshot, needle: &str, inside: usize) -> String {
    let at = snapshot.text().find(needle).unwrap_or_else(|| panic!("{needle}")) + inside;
    hover(snapshot, at).unwrap_or_else(|| panic!("nothing at {needle}")).markdown
}

#[test]
fn every_kind_of_word_says_what_it_is() {
    let snapshot = Snapshot::of_text("/r.obert", RECIPE, Encoding::Utf16);
    assert!(!snapshot.compiled.has_errors(), "{:?}", snapshot.compiled.diagnostics);
    for (needle, inside, expected) in [
        ("prune enc", 0, "Prunes the least important weights"),
        ("gradients:", 2, "**obs.gradients**: a whole number above zero"),
        ("by: obs", 0, "How a weight's importance is computed."),
        ("obs(grad", 1, "`obs(gradients, "),
        ("sparsity: 30", 3, "**prune.sparsity**: a sparsity such as `80%`"),
        ("over 0..3", 0, "The first and last pruning event"),
        ("cosine", 0, "`(1 - cos πx) / 2`: flat at both ends."),
        ("ratio =", 0, "`ratio`: the type of a `param`"),
        ("epochs {", 2, "`epochs`: passes over the training data"),
        ("std.bert", 5, "- `attention_linears`: The attention matrices: four per layer."),
        ("{encoder_linears}", 3, "The weights of every linear layer of the encoder"),
        ("gradual\n", 3, "- `target: ratio = 90%` Final sparsity of the encoder."),
        ("OB0701", 2, "**OB0701**: "),
        ("target cubic", 2, "param target: ratio = 80%"),
        ("target cubic", 2, "The final sparsity."),
        ("dense\n", 2, "Trains for 4 epochs, 160 steps."),
        ("sparse for", 2, "Pruned by OBS."),
        ("sparse for", 2, "- prunes `encoder_linears` to 80% in 4 events"),
        ("edition", 2, "The edition of the language"),
        ("use std.bert", 1, "Imports names and templates"),
        ("builtin_reading", 3, "`builtin_reading(train, dev)`"),
    ] {
        let text = text_at(&snapshot, needle, inside);
        assert!(text.contains(expected), "{needle}: `{expected}` in\n{text}");
    }
    assert_eq!(hover(&snapshot, snapshot.text().find("30%").unwrap()), None, "a number says what it is");
}

#[test]
fn computed_values_and_selectors_are_shown_as_the_compiler_has_them() {
    let snapshot = Snapshot::of_text("/r.obert", RECIPE, Encoding::Utf16);
    let sparsity = text_at(&snapshot, "sparsity: 30", 0);
    assert!(sparsity.contains("Here: `30% -> 80% cubic`"), "{sparsity}");
    let peak = text_at(&snapshot, "peak / 10", 1);
    assert!(peak.contains("let peak = 8e-5"), "{peak}");
    let linears = text_at(&snapshot, "prune encoder_linears", 8);
    // Two layers of 4·128² + 2·128·512 weights.
    assert!(linears.contains("Matches 12 parameters of "), "{linears}");
    assert!(linears.contains(": 393,216 weights"), "{linears}");
    assert!(linears.contains("- `bert.encoder.layer.0.attention.self.query.weight` [128, 128]"), "{linears}");
    let heads = text_at(&snapshot, "\"qa_outputs.*\"", 3);
    assert!(heads.contains("Matches 2 parameters of "), "{heads}");
    let embeddings = text_at(&snapshot, "re\"bert", 4);
    assert!(embeddings.contains("Matches 5 parameters of "), "{embeddings}");
    let other = RECIPE.replace("bert(layers: 2, hidden: 128, heads: 2)", "\"no/such-model\"");
    let unknown = Snapshot::of_text("/r.obert", &other, Encoding::Utf16);
    let heads = text_at(&unknown, "\"qa_outputs.*\"", 3);
    assert!(heads.contains("The model's parameters are unknown."), "{heads}");
}

#[test]
fn sparsity_and_learning_rate_are_shown_over_time() {
    let snapshot = Snapshot::of_text("/r.obert", RECIPE, Encoding::Utf16);
    let pruned = text_at(&snapshot, "prune encoder_linears", 0);
    // 30% + (1 - (1 - 1/3)³) · 50%, before step 40 of 40 in an epoch.
    let rows = "| at | step | sparsity |\n|---|---:|---:|\n| 0 epochs | 0 | 30% |\n| 1 epoch | 40 | 65.19% |\n\
                | 2 epochs | 80 | 78.15% |\n| 3 epochs | 120 | 80% |";
    assert!(pruned.contains(rows), "{pruned}");
    assert!(text_at(&snapshot, "cubic", 1).contains(rows));
    let rate = text_at(&snapshot, "lr {\n", 0);
    assert!(
        rate.contains("| part of the stage | learning rate |\n|---:|---:|\n| 0% | 0 |\n| 25% | 8e-5 |"),
        "{rate}"
    );
    assert!(rate.contains("` up to 8e-5"), "{rate}");
    // A recipe whose data is not known has times in epochs only.
    let named = RECIPE.replace("builtin_reading(train: 640, dev: 64)", "squad");
    let snapshot = Snapshot::of_text("/r.obert", &named, Encoding::Utf16);
    let pruned = text_at(&snapshot, "prune encoder_linears", 0);
    assert!(
        pruned.contains("| at | sparsity |\n|---|---:|\n| 0 epochs | 30% |\n| 1 epoch | 65.19% |"),
        "{pruned}"
    );
    // An error elsewhere does not hide it.
    let broken = named.replace("freeze heads", "freeze haeds");
    let snapshot = Snapshot::of_text("/r.obert", &broken, Encoding::Utf16);
    assert!(snapshot.compiled.has_errors());
    assert!(text_at(&snapshot, "prune encoder_linears", 0).contains("| 3 epochs | 80% |"));
}

#[test]
fn a_client_gets_markdown_with_the_range_of_the_word() {
    let mut client = Client::started(plain());
    client.open("file:///r.obert", 1, RECIPE);
    let shown = client.at("textDocument/hover", "file:///r.obert", place(RECIPE, "distill", 3));
    assert_eq!(shown["contents"]["kind"], "markdown");
    assert!(shown["contents"]["value"].as_str().unwrap().starts_with("Knowledge distillation: "));
    assert_eq!(range(&shown["range"]), "26:4-26:11");
    assert_eq!(client.at("textDocument/hover", "file:///r.obert", (3, 0)), json!(null));
    assert_eq!(client.end(), 0);
}
