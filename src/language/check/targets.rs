//! Selectors against the model's parameters.

use crate::diag::{Code, Diagnostic, Findings, nearest};
use crate::params::ParameterTable;
use crate::schedule::ir::{Criterion, Pattern};

use super::recipe::{Prune, Recipe, Targets};

/// Checks that every selector matches, what it matches can be pruned, and no parameter has two
/// masters.
pub fn check(recipe: &Recipe, table: &ParameterTable, findings: &mut Findings) {
    for stage in &recipe.stages {
        let pruned: Vec<(&Prune, Vec<usize>)> =
            stage.prune.iter().map(|p| (p, select(&p.targets, table, findings))).collect();
        for (prune, selected) in &pruned {
            prunable(prune, selected, table, findings);
        }
        for (i, (first, a)) in pruned.iter().enumerate() {
            for (second, b) in &pruned[i + 1..] {
                if let Some(shared) = shared(a, b, table) {
                    findings.push(
                        Diagnostic::error(
                            Code::TwoPruners,
                            format!("two `prune` statements share {shared}"),
                            second.targets.selector.span,
                            "prunes them again",
                        )
                        .and_at(first.targets.selector.span, "prunes them first")
                        .help("let each parameter be pruned by one statement: use `except`"),
                    );
                }
            }
        }
        for hold in &stage.hold {
            let held = select(&hold.targets, table, findings);
            for (prune, selected) in &pruned {
                if let Some(shared) = shared(selected, &held, table) {
                    findings.push(
                        Diagnostic::error(
                            Code::PruneAndHold,
                            format!("{shared} are pruned and held in one stage"),
                            hold.targets.selector.span,
                            "their mask may not move",
                        )
                        .and_at(prune.targets.selector.span, "and here it grows")
                        .help("pruned weights stay pruned without `hold`; remove it, or use `except`"),
                    );
                }
            }
        }
    }
}

fn select(targets: &Targets, table: &ParameterTable, findings: &mut Findings) -> Vec<usize> {
    let selector = &targets.selector;
    // A pattern that cannot be read was reported where it was evaluated.
    let Ok(selected) = selector.value.select(table) else { return Vec::new() };
    if selected.is_empty() {
        let names = table.iter().map(|p| p.name.as_str());
        let near: Vec<&str> =
            selector.value.patterns().iter().filter_map(|pattern| nearest(pattern, names.clone())).collect();
        let help = match near.first() {
            Some(near) => format!("the nearest name is `{near}`"),
            None => "list the names with `obertc params --model DIR '**'`".to_owned(),
        };
        findings.push(
            Diagnostic::error(
                Code::MatchesNothing,
                format!("`{}` matches none of the model's {} parameters", selector.value, table.len()),
                selector.span,
                "matches nothing",
            )
            .help(help),
        );
    } else if let Some(expect) = targets.expect.as_ref().filter(|e| e.value != selected.len()) {
        let shown: Vec<&str> = selected.iter().take(3).map(|i| table.get(*i).name.as_str()).collect();
        findings.push(
            Diagnostic::error(
                Code::CountDiffers,
                format!("`{}` matches {} parameters, not {}", selector.value, selected.len(), expect.value),
                expect.span,
                format!("{} were expected", expect.value),
            )
            .help(format!("the first are {}", shown.join(", "))),
        );
    }
    selected
}

fn prunable(prune: &Prune, selected: &[usize], table: &ParameterTable, findings: &mut Findings) {
    let parameters = || selected.iter().map(|i| table.get(*i));
    let span = prune.targets.selector.span;
    let unfit: Vec<&str> = parameters().filter(|p| !p.is_prunable()).map(|p| p.name.as_str()).collect();
    if let Some(first) = unfit.first() {
        findings.push(
            Diagnostic::error(
                Code::NotPrunable,
                format!("{} selected parameters are no linear weights", unfit.len()),
                span,
                format!("such as {first}"),
            )
            .help("prune weights of linear layers; end the pattern in `.weight`, or use `except`"),
        );
        return;
    }
    let group = match prune.pattern.value {
        Pattern::Unstructured => 1,
        Pattern::Blocks(size) => size,
        Pattern::NofM { of, .. } => of,
    };
    if let Some(p) = parameters().find(|p| p.shape[1] % group != 0) {
        findings.push(
            Diagnostic::error(
                Code::PatternDoesNotFit,
                format!("`{}` does not fit {} of shape {:?}", prune.pattern.value, p.name, p.shape),
                prune.pattern.span,
                format!("{} inputs are not whole groups of {group}", p.shape[1]),
            )
            .and_at(span, "selected here")
            .help("choose a group size that divides the number of inputs"),
        );
    }
    if let Criterion::Obs(obs) = &prune.by.value
        && let Some(p) = parameters().find(|p| p.count() < obs.block)
    {
        findings.push(
            Diagnostic::warning(
                Code::BlockDoesNotFit,
                format!("{} holds fewer weights than one Fisher block", p.name),
                prune.by.span,
                format!("{} weights, blocks of {}", p.count(), obs.block),
            )
            .help("leave it out, or use a smaller block"),
        );
    }
}

/// The parameters in both, in words.
fn shared(a: &[usize], b: &[usize], table: &ParameterTable) -> Option<String> {
    let both: Vec<&str> = a.iter().filter(|i| b.contains(i)).map(|i| table.get(*i).name.as_str()).collect();
    match both.as_slice() {
        [] => None,
        [one] => Some(format!("`{one}`")),
        [one, rest @ ..] => Some(format!("`{one}` and {} more parameters", rest.len())),
    }
}
