//! Checks of selectors against the model's parameters, stage by stage: a dropped layer is missing in all
//! later stages.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Findings, Sources, Span, counted, nearest};
use crate::language::syntax::ast::Spanned;
use crate::params::table::layer_of;
use crate::params::{Parameter, ParameterTable, Selector};
use crate::schedule::Time;
use crate::schedule::ir::{Criterion, Layers, Obs, Rank};

use super::fixes::{obs_argument, suggest};
use super::recipe::{Hold, Prune, Recipe, Stage, Targets, TimeRange};
use super::selector_suggestions::{Fit, fitting, grouped, nearest_selection};

/// Checks that every selector matches, that the matches are suitable, and that statements do not conflict.
pub fn check(recipe: &Recipe, table: &ParameterTable, sources: &Sources, findings: &mut Findings) {
    let mut table = table.clone();
    let mut known = Selections::default();
    for stage in &recipe.stages {
        let mut found = Findings::new();
        if let Some(remaining) = layers(stage, &table, &mut found) {
            table = remaining;
            known = Selections::default();
        }
        check_stage(stage, &table, sources, &mut known, &mut found);
        stage.relocate(&mut found, 0, sources);
        found.allow(&stage.allow);
        findings.extend(found);
    }
}

/// The parameters that remain after `keep` or `drop`; `None` without such a statement or if it is invalid.
fn layers(stage: &Stage, table: &ParameterTable, findings: &mut Findings) -> Option<ParameterTable> {
    let layers = stage.layers.as_ref()?;
    let count = table.layers();
    let last = count.saturating_sub(1);
    let Some(kept) = layers.value.remaining(count) else {
        let message = format!("the model has the layers 0 to {last}");
        let (Layers::Keep(named) | Layers::Drop(named)) = &layers.value;
        let missing = named.iter().find(|layer| **layer >= count).copied().unwrap_or(count);
        findings.push(
            Diagnostic::error(
                Code::NoSuchLayer,
                message,
                layers.span,
                format!("there is no layer {missing}"),
            )
            .help("layers are counted from 0"),
        );
        return None;
    };
    if kept.is_empty() {
        let message = "no layer would remain";
        let diagnostic = Diagnostic::error(Code::NoSuchLayer, message, layers.span, "none of the encoder's");
        findings.push(diagnostic.help(format!("let at least one of the layers 0 to {last} remain")));
        return None;
    }
    let mut sorted = kept.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != kept.len() {
        findings.push(
            Diagnostic::error(Code::NoSuchLayer, "a layer is named twice", layers.span, "once each")
                .help("a layer can be kept only once"),
        );
        return None;
    }
    if let Some(parameter) = lacking_in_first(table, kept[0]) {
        let message = format!("layer {} cannot be the first: layer 0 has no `{parameter}`", kept[0]);
        findings.push(
            Diagnostic::error(Code::FirstLayerDiffers, message, layers.span, "layer 0 is dropped")
                .help("keep layer 0 too, as `keep layers [0, …]`: `transformers` computes the first layer without this parameter"),
        );
        return None;
    }
    Some(table.keep_layers(&kept))
}

/// A parameter of a layer that layer 0 does not have, without the layer's name.
fn lacking_in_first(table: &ParameterTable, layer: usize) -> Option<&str> {
    let of = |wanted: usize| {
        table
            .iter()
            .filter_map(|p| layer_of(&p.name))
            .filter(move |(_, i, _)| *i == wanted)
            .map(|(.., rest)| rest)
    };
    let lacking = of(layer).find(|rest| of(0).all(|other| other != *rest))?;
    Some(lacking.trim_start_matches('.'))
}

/// The selections of the last selectors, so that equal ones, as those of a template's stages, are matched once.
#[derive(Default)]
struct Selections {
    list: Vec<(Selector, Vec<usize>)>,
}

/// The most selections that are remembered.
const MOST_SELECTIONS: usize = 32;

impl Selections {
    /// The parameters that a selector selects; `None` for a pattern that cannot be read.
    fn of(&mut self, selector: &Selector, table: &ParameterTable) -> Option<Vec<usize>> {
        if let Some((_, selected)) = self.list.iter().find(|(known, _)| known == selector) {
            return Some(selected.clone());
        }
        let selected = selector.select(table).ok()?;
        if self.list.len() < MOST_SELECTIONS {
            self.list.push((selector.clone(), selected.clone()));
        }
        Some(selected)
    }
}

fn check_stage(
    stage: &Stage,
    table: &ParameterTable,
    sources: &Sources,
    known: &mut Selections,
    findings: &mut Findings,
) {
    let pruned: Vec<(&Prune, Vec<usize>)> = stage
        .prune
        .iter()
        .map(|p| (p, select(&p.targets, table, Parameter::is_prunable, known, findings)))
        .collect();
    for (prune, selected) in &pruned {
        prunable(prune, selected, table, findings);
        memory(prune, selected, table, sources, findings);
        for exception in &prune.exceptions {
            let chosen = select(&exception.targets, table, Parameter::is_prunable, known, findings);
            outside(prune, selected, &exception.targets, &chosen, table, findings);
        }
    }
    // The first statement that prunes each parameter.
    let mut owners: HashMap<usize, usize> = HashMap::new();
    let mut pruners: Vec<&(&Prune, Vec<usize>)> = Vec::new();
    for (i, (second, b)) in pruned.iter().enumerate() {
        let first = b.iter().filter_map(|parameter| owners.get(parameter)).min();
        if let Some((first, a)) = first.map(|at| &pruned[*at])
            && let Some(shared) = shared(a, b, table)
        {
            findings.push(without(
                Diagnostic::error(
                    Code::TwoPruners,
                    format!("two `prune` statements share {shared}"),
                    second.targets.selector.span,
                    "prunes them again",
                )
                .and_at(first.targets.selector.span, "prunes them first"),
                (&second.targets.selector, b),
                (&first.targets.selector, a),
                true,
                "let each parameter be pruned by one statement",
            ));
        }
        let known = owners.len();
        b.iter().for_each(|parameter| _ = owners.entry(*parameter).or_insert(i));
        if owners.len() > known {
            pruners.push(&pruned[i]);
        }
    }
    let mut conflicts = |code: Code, verb: &str, label: &str, help: &str, held: &Hold, chosen: &[usize]| {
        let targets = &held.targets;
        for (prune, selected) in &pruners {
            if at_other_times(code, held, prune, stage) {
                continue;
            }
            if let Some(shared) = shared(selected, chosen, table) {
                let pruned_here = match code {
                    Code::PruneAndFreeze => "`prune` sets weights to zero here",
                    _ => "`prune` extends the mask here",
                };
                findings.push(without(
                    Diagnostic::error(
                        code,
                        format!("`prune` and `{verb}` share {shared} in one stage"),
                        targets.selector.span,
                        label,
                    )
                    .and_at(prune.targets.selector.span, pruned_here),
                    (&targets.selector, chosen),
                    (&prune.targets.selector, selected),
                    code == Code::PruneAndFreeze,
                    help,
                ));
            }
        }
    };
    let mut late = Findings::new();
    for hold in &stage.hold {
        let chosen = select(&hold.targets, table, any, known, &mut late);
        let help = "pruned weights stay pruned without `hold`";
        conflicts(Code::PruneAndHold, "hold", "`hold` fixes their mask", help, hold, &chosen);
    }
    for freeze in &stage.freeze {
        let chosen = select(&freeze.targets, table, any, known, &mut late);
        let help = "prune them in a stage of their own, or train them";
        conflicts(
            Code::PruneAndFreeze,
            "freeze",
            "`freeze` keeps these weights constant",
            help,
            freeze,
            &chosen,
        );
    }
    for (factor, _) in &stage.lr_factors {
        select(factor, table, any, known, &mut late);
    }
    quantized(stage, table, known, &mut late);
    hidden_states(stage, table, sources, &mut late);
    findings.extend(late);
}

/// Whether parameters are pruned outside the window in which they are held or frozen. A `hold` after pruning
/// must last to the end of the stage, because all zeros are trained again when it ends.
fn at_other_times(code: Code, held: &Hold, prune: &Prune, stage: &Stage) -> bool {
    let not_after = |a: Time, b: Time| a.compare(b).is_some_and(Ordering::is_le);
    let pruned = prune.over.as_ref().map_or(TimeRange { start: Time::ZERO, end: Time::ZERO }, |o| o.value);
    let over = held.over.value;
    let lasts = code == Code::PruneAndFreeze || not_after(stage.length.value, over.end);
    not_after(over.end, pruned.start) || lasts && prune.over.is_some() && not_after(pruned.end, over.start)
}

/// Checks that the pattern of hidden states matches modules of the student. The teacher may be another model.
fn hidden_states(stage: &Stage, table: &ParameterTable, sources: &Sources, findings: &mut Findings) {
    let Some(hidden) = stage.distill.as_ref().and_then(|d| d.hidden.as_ref()) else { return };
    let pattern = &hidden.value.modules;
    let Ok(matcher) = Selector::Glob(pattern.clone()).matcher() else { return };
    let names: Vec<&str> = table.iter().map(|p| p.name.as_str()).collect();
    let modules = || names.iter().flat_map(|n| n.match_indices('.').map(|(at, _)| &n[..at]));
    if modules().any(|module| matcher.matches(module)) {
        return;
    }
    let near = nearest(pattern, modules());
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => match table.layer_stem() {
            Some(stem) => format!("name layers of the encoder, as `states(\"{stem}*\")`"),
            None => "list the names with `obertc params --model DIR '**'`".to_owned(),
        },
    };
    // The span of the pattern between its quotes.
    let at = sources.slice(hidden.span).find(&format!("\"{pattern}\"")).map(|at| {
        let start = hidden.span.range().start + at + 1;
        Span::new(hidden.span.file, start..start + pattern.len())
    });
    let diagnostic = Diagnostic::error(
        Code::MatchesNothing,
        format!("`{pattern}` matches none of the model's modules"),
        hidden.span,
        "matches nothing",
    );
    findings.push(suggest(diagnostic.help(help), at.zip(near.map(str::to_owned))));
}

fn quantized(stage: &Stage, table: &ParameterTable, known: &mut Selections, findings: &mut Findings) {
    let mut seen: Vec<(&Spanned<Selector>, Vec<usize>)> = Vec::new();
    for quantize in &stage.quantize {
        let chosen = select(&quantize.targets, table, is_matrix, known, findings);
        let span = quantize.targets.selector.span;
        if let Some(other) = chosen.iter().find(|i| !is_matrix(table.get(**i))) {
            let diagnostic = Diagnostic::error(
                Code::NotPrunable,
                "only weights of linear layers and embeddings can be quantized",
                span,
                format!("such as {}", table.get(*other).name),
            );
            findings.push(narrowed(diagnostic, &quantize.targets, table, is_matrix));
        }
        for (first, others) in &seen {
            if let Some(shared) = shared(others, &chosen, table) {
                findings.push(without(
                    Diagnostic::error(
                        Code::QuantizedTwice,
                        format!("two `quantize` statements share {shared}"),
                        span,
                        "quantizes them again",
                    )
                    .and_at(first.span, "quantizes them first"),
                    (&quantize.targets.selector, &chosen),
                    (first, others),
                    true,
                    "let each layer be quantized by one statement",
                ));
                break;
            }
        }
        seen.push((&quantize.targets.selector, chosen));
    }
}

/// Every parameter is suitable for `hold`, `freeze` and `factor`.
fn any(_: &Parameter) -> bool {
    true
}

/// Weights of linear layers and embeddings are suitable for `quantize`.
fn is_matrix(parameter: &Parameter) -> bool {
    parameter.shape.len() == 2
}

/// Adds help and an edit that restrict a selection to its suitable parameters.
fn narrowed(diagnostic: Diagnostic, targets: &Targets, table: &ParameterTable, fit: Fit) -> Diagnostic {
    let selector = &targets.selector;
    match fitting(&selector.value, table, fit) {
        Some(meant) => {
            let written = meant.to_string();
            let diagnostic = diagnostic.help(format!("write `{written}`, which leaves the others out"));
            // With `expect`, the expected number would be wrong after the edit.
            suggest(diagnostic, targets.expect.is_none().then_some((selector.span, written)))
        }
        None => {
            let (help, meant) = nearest_selection(&selector.value, table, fit);
            suggest(
                diagnostic.help(format!("nothing of it is fit; {help}")),
                meant.map(|m| (selector.span, m.to_string())),
            )
        }
    }
}

/// A selector, and the indices of the parameters that it selects.
type Selection<'a> = (&'a Spanned<Selector>, &'a [usize]);

/// Adds help and an edit that make two selections disjoint: `this except other`, or `other except this` where
/// `other` includes `this` and `either` may be changed.
fn without(diagnostic: Diagnostic, this: Selection, other: Selection, either: bool, why: &str) -> Diagnostic {
    let within = |a: Selection, b: Selection| a.1.iter().all(|i| b.1.binary_search(i).is_ok());
    let (from, taken) = match (within(this, other), within(other, this)) {
        (false, _) => (this, other),
        (true, false) if either => (other, this),
        _ => return diagnostic.help(format!("{why}: remove this one, which selects nothing else")),
    };
    let taken = match &taken.0.value {
        // `a except b` after `except` would read as two of them.
        except @ Selector::Except(..) => format!("[{except}]"),
        plain => plain.to_string(),
    };
    let written = format!("{} except {taken}", from.0.value);
    diagnostic.help(format!("{why}: write `{written}`")).unsafe_fix(from.0.span, written)
}

fn select(
    targets: &Targets,
    table: &ParameterTable,
    fit: Fit,
    known: &mut Selections,
    findings: &mut Findings,
) -> Vec<usize> {
    let selector = &targets.selector;
    // A pattern that cannot be read was reported where it was evaluated.
    let Some(selected) = known.of(&selector.value, table) else { return Vec::new() };
    if selected.is_empty() {
        let (help, meant) = nearest_selection(&selector.value, table, fit);
        let diagnostic = Diagnostic::error(
            Code::MatchesNothing,
            format!("`{}` matches none of the model's {} parameters", selector.value, table.len()),
            selector.span,
            "matches nothing",
        );
        findings.push(suggest(diagnostic.help(help), meant.map(|m| (selector.span, m.to_string()))));
    } else if let Some(expect) = targets.expect.as_ref().filter(|e| e.value != selected.len()) {
        findings.push(
            Diagnostic::error(
                Code::CountDiffers,
                format!(
                    "`{}` matches {}, not {}",
                    selector.value,
                    counted(selected.len(), "parameter", "parameters"),
                    expect.value
                ),
                expect.span,
                counted(expect.value, "was expected", "were expected"),
            )
            .help(format!("it matches {}", grouped(selected.iter().map(|i| table.get(*i).name.as_str()))))
            .unsafe_fix(expect.span, selected.len().to_string()),
        );
    }
    selected
}

fn prunable(prune: &Prune, selected: &[usize], table: &ParameterTable, findings: &mut Findings) {
    let parameters = || selected.iter().map(|i| table.get(*i));
    let span = prune.targets.selector.span;
    let unfit: Vec<&str> = parameters().filter(|p| !p.is_prunable()).map(|p| p.name.as_str()).collect();
    if let Some(first) = unfit.first() {
        let diagnostic = Diagnostic::error(
            Code::NotPrunable,
            counted(
                unfit.len(),
                "selected parameter is not a weight of a linear layer",
                "selected parameters are not weights of linear layers",
            ),
            span,
            format!("such as {first}"),
        );
        findings.push(narrowed(diagnostic, &prune.targets, table, Parameter::is_prunable));
        return;
    }
    let group = prune.pattern.value.width();
    if let Some(p) = parameters().find(|p| p.inputs() % group != 0) {
        findings.push(
            Diagnostic::error(
                Code::PatternDoesNotFit,
                format!("`{}` does not fit {} of shape {:?}", prune.pattern.value, p.name, p.shape),
                prune.pattern.span,
                format!(
                    "{} whole groups of {group}",
                    counted(p.inputs(), "input does not fill", "inputs do not fill")
                ),
            )
            .and_at(span, "selected here")
            .help("choose a group size that divides the number of inputs"),
        );
    }
    if let Criterion::Obs(obs) = &prune.by.value
        && let Some(p) = parameters().find(|p| p.count() < obs.block)
    {
        findings.push(
            Diagnostic::error(
                Code::BlockDoesNotFit,
                format!("{} holds fewer weights than one Fisher block", p.name),
                prune.by.span,
                format!("{}, blocks of {}", counted(p.count(), "weight", "weights"), obs.block),
            )
            .help("leave it out, or use a smaller block"),
        );
    }
}

/// Checks that the Fisher estimate of the largest parameter fits into `memory`; several parameters can be
/// estimated one after the other.
fn memory(
    prune: &Prune,
    selected: &[usize],
    table: &ParameterTable,
    sources: &Sources,
    findings: &mut Findings,
) {
    let Criterion::Obs(obs) = &prune.by.value else { return };
    let Some(allowed) = obs.memory else { return };
    let group = prune.pattern.value.width();
    let Some(largest) = selected.iter().map(|i| table.get(*i)).max_by_key(|p| p.count()) else { return };
    let needed = obs.least_bytes(largest.count());
    let shown = |bytes: u64| match bytes >> 30 {
        0 => format!("{:.0} MiB", (bytes as f64 / f64::from(1 << 20)).ceil()),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    };
    let counts: Vec<usize> = selected.iter().map(|i| table.get(*i).count()).collect();
    let all = obs.bytes_at_a_time(&counts);
    if prune.rank.value == Rank::Measured && all > allowed {
        findings.push(
            Diagnostic::error(
                Code::FisherTooLarge,
                format!("a measured ranking needs the estimates of all parameters at a time, {}", shown(all)),
                prune.by.span,
                format!("{} are allowed", shown(allowed)),
            )
            .and_at(prune.rank.span, "the ranking")
            .help("allow more with `memory`, use smaller blocks, or write `rank: global`"),
        );
    } else if needed > allowed {
        let block = obs.largest_block(largest.count(), allowed) / group * group;
        let smaller = Obs { block, ..obs.clone() };
        let fits = block > 0 && !obs.keeps_gradients() && smaller.least_bytes(largest.count()) <= allowed;
        let (help, edit) = match fits {
            true => (
                format!("allow more, or use smaller blocks: `block: {block}`"),
                obs_argument(prune, Obs::NAMES.block, |spans| spans.block, &block.to_string(), sources),
            ),
            false => ("allow more, or take fewer gradients".to_owned(), None),
        };
        findings.push(suggest(
            Diagnostic::error(
                Code::FisherTooLarge,
                format!("the estimate for {} alone needs {}", largest.name, shown(needed)),
                prune.by.span,
                format!("{} are allowed", shown(allowed)),
            )
            .help(help),
            edit,
        ));
    }
}

/// Checks that a `target` line selects some of the statement's parameters. It may select others too.
fn outside(
    prune: &Prune,
    selected: &[usize],
    exception: &Targets,
    chosen: &[usize],
    table: &ParameterTable,
    findings: &mut Findings,
) {
    if let Some(first) = chosen.first().filter(|_| chosen.iter().all(|i| !selected.contains(i))) {
        findings.push(
            Diagnostic::error(
                Code::MatchesNothing,
                format!("nothing of `{}` is pruned by this statement", exception.selector.value),
                exception.selector.span,
                format!("such as {}", table.get(*first).name),
            )
            .and_at(prune.targets.selector.span, "what is pruned")
            .help("choose among the statement's own parameters"),
        );
    }
}

/// Describes the parameters that are in both selections.
fn shared(a: &[usize], b: &[usize], table: &ParameterTable) -> Option<String> {
    let both: Vec<&str> =
        a.iter().filter(|i| b.binary_search(i).is_ok()).map(|i| table.get(*i).name.as_str()).collect();
    match both.as_slice() {
        [] => None,
        [one] => Some(format!("`{one}`")),
        [one, rest @ ..] => {
            Some(format!("`{one}` and {}", counted(rest.len(), "more parameter", "more parameters")))
        }
    }
}
