//! Help is followed: what a finding proposes removes it, and brings no new error.

use std::path::PathBuf;

use obert::internals::diag::{Diagnostic, fix};
use obert::internals::yaml::{Imported, Options, import};

use super::{files_in, overrides, root, shown, tricky};

fn brought(name: &str, text: &str) -> Imported {
    let overrides = overrides(text);
    import(name, text, Options { overrides: &overrides, ..Options::default() })
}

/// A recipe with every replacement that is proposed, until none is.
pub(super) fn mended(name: &str, text: &str) -> String {
    let check = |text: &str| {
        let compiled = brought(name, text).compilation;
        (compiled.main, compiled.diagnostics)
    };
    fix::fix_all(text, false, check).0
}

/// How often a finding is there, whatever it counts.
fn count(imported: &Imported, finding: &Diagnostic) -> usize {
    let words = |d: &Diagnostic| d.message.split(';').next().unwrap_or("").to_owned();
    let same = |d: &&Diagnostic| d.code == finding.code && words(d) == words(finding);
    let listed = imported.compilation.diagnostics.iter().filter(same);
    let more = |d: &Diagnostic| match d.message.rsplit_once("; ").map(|(_, more)| more.split(' ').next()) {
        Some(Some("one")) => 1,
        Some(Some(number)) => number.parse().unwrap_or(0),
        _ => 0,
    };
    listed.map(|d| 1 + more(d)).sum()
}

fn errors(imported: &Imported) -> Vec<(String, String)> {
    let all = imported.compilation.diagnostics.iter().filter(|d| d.is_error());
    all.map(|d| (d.code.to_string(), d.message.clone())).collect()
}

/// Whether a help proposes a text to write, or to remove one.
fn proposes(help: &str) -> bool {
    let literal =
        |start: &str| help.strip_prefix(start).is_some_and(|rest| rest.contains('`') && !rest.contains('…'));
    literal("did you mean `") || literal("write `") || literal("add `start: 0") || help == "remove it"
}

fn corpus() -> Vec<PathBuf> {
    [tricky(), files_in(&root().join("tests/corpus/yaml/paper"))].concat()
}

#[test]
fn what_is_proposed_removes_the_finding_and_brings_no_new_error() {
    let mut followed = 0;
    let mut wrong = Vec::new();
    for path in corpus() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let before = brought(name, &text);
        let text = before.compilation.sources.get(before.compilation.main).text.clone();
        for finding in &before.compilation.diagnostics {
            if finding.fix.is_none() {
                continue;
            }
            let one = std::slice::from_ref(finding);
            let Some((changed, _)) = fix::apply(&text, before.compilation.main, one, true) else { continue };
            followed += 1;
            let after = brought(name, &changed);
            if count(&after, finding) >= count(&before, finding) {
                wrong.push(format!("{name}: still there: {}\n{changed}\n{}", finding.message, shown(&after)));
            }
            // What was hidden behind the finding may come up, and must be of use in its turn.
            let known = errors(&before);
            let end = brought(name, &mended(name, &changed));
            if let Some(new) = errors(&end).iter().find(|e| !known.contains(e)) {
                wrong.push(format!("{name}: following `{}` brings {new:?}\n{changed}", finding.message));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(followed > 30, "only {followed} were followed");
}

#[test]
fn a_help_that_proposes_a_text_can_be_followed_by_a_program() {
    let mut missing = Vec::new();
    for path in corpus() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let imported = brought(name, &std::fs::read_to_string(&path).unwrap());
        for finding in &imported.compilation.diagnostics {
            // Findings of the language speak of the recipe that is written.
            let own = (800..900).contains(&finding.code.number());
            // `--set` is on the command line.
            let main = imported.compilation.main;
            let own = own && finding.primary.as_ref().is_some_and(|l| l.span.file == main);
            if own && finding.fix.is_none() && finding.help.as_deref().is_some_and(proposes) {
                missing.push(format!("{name}: {} → {}", finding.message, finding.help.as_ref().unwrap()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// A stage of one-shot quantization beside a group that trains: followed to a recipe without errors.
#[test]
fn a_stage_beside_a_group_is_mended_to_a_recipe() {
    let text = "training_modifiers:\n  - !EpochRangeModifier\n    start_epoch: 0\n    end_epoch: 20\nquant_stage:\n  quant_modifiers:\n    # all layers\n    QuantizationModifier:\n      targets: [\"Linear\"]\n      scheme: W8A8\n";
    let mended = mended("case.yaml", text);
    let imported = brought("case.yaml", &mended);
    assert!(imported.text.is_some(), "{mended}\n{}", shown(&imported));
    assert!(mended.contains("\nquant_modifiers:\n  # all layers\n  QuantizationModifier:\n"), "{mended}");
}

#[test]
fn modifiers_outside_a_group_are_mended_to_a_recipe() {
    let staged = "a_stage:\n  pruning_modifiers:\n    ConstantPruningModifier:\n      targets: __ALL_PRUNABLE__\n      start: 0\n      end: 5\nb_stage:\n  MagnitudePruningModifier:\n    targets: __ALL_PRUNABLE__\n    start: 5\n    end: 9\n    init_sparsity: 0.2\n    final_sparsity: 0.6\n";
    let listed = "modifiers:\n  - !EpochRangeModifier {start_epoch: 0, end_epoch: 3}\nlr:\n  - !SetLearningRateModifier {learning_rate: 0.1}\n";
    for text in [staged, listed] {
        let imported = brought("case.yaml", &mended("case.yaml", text));
        assert!(imported.text.is_some(), "{}", shown(&imported));
    }
}

/// A pattern that also takes normalizations gets one that takes the linear weights alone.
#[test]
fn a_pattern_with_more_than_linear_weights_is_mended() {
    let text = "modifiers:\n  - !EpochRangeModifier {start_epoch: 0, end_epoch: 9}\n  - !MagnitudePruningModifier\n    params: [re:bert.encoder.layer.*.weight]\n    init_sparsity: 0.2\n    final_sparsity: 0.6\n    start_epoch: 1\n    end_epoch: 5\n    update_frequency: 1\n";
    let before = brought("case.yaml", text);
    assert_eq!(errors(&before)[0].0, "OB0504", "{}", shown(&before));
    let after = brought("case.yaml", &mended("case.yaml", text));
    let recipe = after.text.clone().unwrap_or_else(|| panic!("{}", shown(&after)));
    assert!(recipe.contains("prune encoder_linears over"), "{recipe}");
}
