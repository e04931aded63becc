//! Every value of a YAML file is used, or a finding says that it is left out, or the file is refused.

use std::path::{Path, PathBuf};

use obert::internals::diag::Diagnostic;
use obert::internals::yaml::{Imported, Options, Outcome, import};

use super::{files_in, overrides, root, tricky};

fn brought(name: &str, text: &str) -> Imported {
    let overrides = overrides(text);
    import(name, text, Options { overrides: &overrides, ..Options::default() })
}

fn corpus() -> Vec<PathBuf> {
    [tricky(), files_in(&root().join("tests/corpus/yaml/paper"))].concat()
}

/// Whether a finding points at something of these bytes of the YAML, or stands within them.
fn points_at(diagnostic: &Diagnostic, imported: &Imported, place: &std::ops::Range<usize>) -> bool {
    let labels = diagnostic.primary.iter().chain(&diagnostic.secondary);
    let main = imported.compilation.main;
    labels.filter(|l| l.span.file == main).any(|l| {
        let (start, end) = (l.span.start as usize, l.span.end as usize);
        start <= place.end && place.start <= end
    })
}

/// The values of a document as another reader counts them, keys left out.
fn count(value: &serde_yaml::Value) -> usize {
    match value {
        serde_yaml::Value::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        serde_yaml::Value::Mapping(map) => 1 + map.values().map(count).sum::<usize>(),
        serde_yaml::Value::Tagged(tagged) => count(&tagged.value),
        _ => 1,
    }
}

fn assert_accounted(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let imported = brought(name, &text);
    let refused = imported.compilation.diagnostics.iter().any(Diagnostic::is_error);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    for node in &imported.nodes {
        let shown = text.get(node.place.clone()).unwrap_or_default();
        match node.outcome {
            Outcome::Used => assert!(!refused || imported.text.is_none(), "{name}: {shown}"),
            Outcome::Noted => {
                let said = |d: &&Diagnostic| {
                    points_at(d, &imported, &node.place) || d.message.ends_with("more like it")
                };
                assert!(
                    imported.compilation.diagnostics.iter().any(|d| said(&d)),
                    "{name}: `{shown}` is left out without a word"
                );
            }
            Outcome::Refused => assert!(refused && imported.text.is_none(), "{name}: {shown}"),
        }
    }
    // Another reader finds as many values, where nothing stands for something else.
    let plain = name.ends_with(".yaml") && !text.contains(['&', '*']);
    if let (true, false, Ok(value)) = (plain, imported.nodes.is_empty(), serde_yaml::from_str(text)) {
        assert_eq!(imported.nodes.len(), count(&value), "{name}");
        return 1;
    }
    0
}

#[test]
fn every_value_of_the_corpus_is_used_or_noted_or_refused() {
    let counted: usize = corpus().iter().map(|path| assert_accounted(path)).sum();
    assert!(counted > 40, "only {counted} files were counted by another reader");
}

#[test]
#[ignore = "reads ../shared, which is not part of the project"]
fn every_value_of_the_shared_recipes_is_used_or_noted_or_refused() {
    for folder in ["yaml/paper", "yaml/tricky", "cases/yaml"] {
        for path in files_in(&root().join("../shared").join(folder)) {
            assert_accounted(&path);
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            for line in lines_with_keys(&text) {
                assert_stranger_is_told(name, &text, line);
            }
        }
    }
}

#[test]
fn nothing_in_the_corpus_vanishes() {
    for path in corpus().iter().filter(|path| path.extension().is_some_and(|e| e == "yaml")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        for line in lines_with_keys(&text) {
            assert_stranger_is_told(name, &text, line);
        }
        for place in values_that_matter(name, &text) {
            assert_value_matters(name, &text, &place);
        }
    }
}

/// The lines of a text that begin with a key in block style.
fn lines_with_keys(text: &str) -> Vec<usize> {
    let is_key = |line: &str| {
        let key = line.trim_start().split(':').next().unwrap_or("");
        line.contains(':') && !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.lines().enumerate().filter(|(_, line)| is_key(line)).map(|(i, _)| i).collect()
}

/// An entry that nobody knows, put before a line, is refused, noted, or written into the recipe.
fn assert_stranger_is_told(name: &str, text: &str, line: usize) {
    if brought(name, text).text.is_none() {
        return;
    }
    let lines: Vec<&str> = text.lines().collect();
    let indent = &lines[line][..lines[line].len() - lines[line].trim_start().len()];
    let stranger = format!("{indent}zzz_stranger: 3");
    let changed = [&lines[..line], &[stranger.as_str()], &lines[line..]].concat().join("\n") + "\n";
    let imported = brought(name, &changed);
    let written = imported.text.as_deref().is_some_and(|t| t.contains("zzz_stranger"));
    let at = changed.find("zzz_stranger").unwrap();
    let place = at..at + "zzz_stranger: 3".len();
    let told = imported.compilation.diagnostics.iter().any(|d| points_at(d, &imported, &place));
    assert!(written || told, "{name}, line {}: an entry vanishes:\n{changed}", line + 1);
}

/// The places of the values of a document whose change must be another recipe or another finding.
fn values_that_matter(name: &str, text: &str) -> Vec<std::ops::Range<usize>> {
    let before = brought(name, text);
    let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
    if before.text.is_none() {
        return Vec::new();
    }
    // The version of the format says nothing, and `--set` puts its own value in place of a variable's.
    let replaced: Vec<String> = overrides(text).iter().map(|set| format!("{}:", set.name)).collect();
    let is_silent = |place: &std::ops::Range<usize>| {
        let key = plain[..place.start].trim_end();
        key.ends_with("version:") || replaced.iter().any(|name| key.ends_with(name.as_str()))
    };
    let scalars = before
        .nodes
        .iter()
        // What is noted with its whole modifier has no place of its own.
        .filter(|n| n.outcome == Outcome::Used)
        .map(|n| n.place.clone())
        .filter(|p| !p.is_empty() && !plain[p.clone()].contains([':', '\n', '[', '{', '-', '*']))
        .filter(|p| !is_silent(p));
    scalars.collect()
}

/// Another value in place of one is another recipe or another finding.
fn assert_value_matters(name: &str, text: &str, place: &std::ops::Range<usize>) {
    let before = brought(name, text);
    let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
    let changed = format!("{}zzz{}", &plain[..place.start], &plain[place.end..]);
    let after = brought(name, &changed);
    let words = |i: &Imported| -> Vec<String> {
        i.compilation.diagnostics.iter().map(|d| d.message.clone()).collect()
    };
    let now = place.start..place.start + 3;
    let told = after.compilation.diagnostics.iter().any(|d| points_at(d, &after, &now));
    assert!(
        told || after.text != before.text || words(&after) != words(&before),
        "{name}: `{}` does not matter, and nothing says so:\n{changed}",
        &plain[place.clone()]
    );
}

/// Modifiers in both forms, each with all kinds of fields; `§` stands for a number from 1 to 5.
const TAGGED: [&str; 8] = [
    "  - !LearningRateModifier\n    lr_class: StepLR\n    lr_kwargs:\n      step_size: §\n      gamma: 0.5\n    init_lr: 0.001\n    start_epoch: 0\n",
    "  - !OBSPruningModifier\n    params: [\"re:bert.encoder.*.query.weight\"]\n    init_sparsity: 0.§\n    final_sparsity: 0.8\n    start_epoch: §\n    end_epoch: 8\n    update_frequency: 1.0\n    num_grads: 64\n    fisher_block_size: 50\n    mask_type: unstructured\n    grad_sampler_kwargs:\n      batch_size: §\n",
    "  - !MagnitudePruningModifier\n    params: [\"re:bert.encoder.*.key.weight\"]\n    log_types: __ALL__\n    init_sparsity: 0.1\n    final_sparsity: 0.§5\n    start_epoch: 1\n    end_epoch: 7\n    update_frequency: §\n    leave_enabled: true\n",
    "  - !DistillationModifier\n    hardness: 0.§\n    temperature: §.0\n    distill_output_keys: [start_logits, end_logits]\n    teacher_input_keys: [input_ids]\n",
    "  - !QuantizationModifier\n    start_epoch: §\n    scheme:\n      weights:\n        num_bits: 8\n        symmetric: true\n      input_activations:\n        num_bits: 8\n    scheme_overrides:\n      Embedding:\n        input_activations: null\n    ignore: [LayerNorm, GELUActivation, Tanh]\n    strict: true\n    freeze_bn_stats_epoch: 5\n",
    "  - !TrainableParamsModifier\n    params: [qa_outputs.weight]\n    trainable: false\n    params_strict: true\n    start_epoch: 0\n    end_epoch: §\n",
    "  - !SetWeightDecayModifier\n    weight_decay: 0.0§\n    constant_logging: false\n",
    "  - !SparsificationLoggingModifier\n    start_epoch: 0\n    update_frequency: 0.§\n",
];
const UNTAGGED: [&str; 4] = [
    "    MagnitudePruningModifier:\n      targets: [\"re:bert.encoder.*.value.weight\"]\n      init_sparsity: 0.§\n      final_sparsity: 0.9\n      start: §\n      end: 8\n      update: 1.0\n      update_scheduler: cubic\n      mask_structure: \"0:0\"\n",
    "    ConstantPruningModifier:\n      targets: [\"re:bert.encoder.*.intermediate.dense.weight\"]\n      start: 0\n      end: §\n",
    "    QuantizationModifier:\n      start: §\n      config_groups:\n        group_0:\n          targets: [Linear]\n          weights:\n            num_bits: 8\n            actorder: null\n            observer: mse\n          input_activations: null\n      ignore: [lm_head]\n",
    "    OutputDistillationModifier:\n      targets: [\"re:.*qa_outputs\"]\n      start: 0\n      end: §\n      orig_scale: 0.§\n      distill_scale: 0.5\n",
];

/// A recipe of some of the modifiers.
fn generated(tagged: bool, chosen: u32, n: u32) -> String {
    let some = |all: &[&str]| -> String {
        let picked = all.iter().enumerate().filter(|(i, _)| chosen >> i & 1 == 1);
        picked.map(|(_, text)| text.replace('§', &n.to_string())).collect()
    };
    if tagged {
        let range = "  - !EpochRangeModifier\n    start_epoch: 0\n    end_epoch: 10\n";
        return format!("version: 1.1.0\n__metadata__:\n  level: 3\nmodifiers:\n{range}{}", some(&TAGGED));
    }
    let first = UNTAGGED[0].replace('§', &n.to_string());
    format!("some_stage:\n  run_type: train\n  some_modifiers:\n{first}{}", some(&UNTAGGED[1..]))
}

#[test]
fn generated_recipes_are_recipes() {
    for (tagged, all) in [(true, 8), (false, 3)] {
        for i in 0..all {
            let text = generated(tagged, 1 << i, 2);
            let imported = brought("generated.yaml", &text);
            assert!(imported.text.is_some(), "{text}\n{}", super::shown(&imported));
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(60))]

    #[test]
    fn nothing_in_a_generated_recipe_vanishes(tagged: bool, chosen in 1u32..256, n in 1u32..6, at: u16) {
        let text = generated(tagged, chosen, n);
        let lines = lines_with_keys(&text);
        assert_stranger_is_told("generated.yaml", &text, lines[at as usize % lines.len()]);
        let values = values_that_matter("generated.yaml", &text);
        assert_value_matters("generated.yaml", &text, &values[at as usize % values.len()]);
        let imported = brought("generated.yaml", &text);
        let value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        proptest::prop_assert_eq!(imported.nodes.len(), count(&value));
    }
}
