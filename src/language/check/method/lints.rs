//! Lints: recipes that run, but probably not as intended, or could be better.

use std::cmp::Ordering;

use crate::diag::{Code, Diagnostic, Findings, Sources, agreeing};
use crate::language::check::fixes::{into_block, obs_argument, suggest};
use crate::language::check::recipe::{Prune, Quantize, Recipe, Stage};
use crate::language::check::time::{ordered, window_text};
use crate::params::builtin::well_known;
use crate::schedule::ir::{Criterion, Model, Obs};
use crate::schedule::{Rational, Shape};

/// The first sparsity above which recomputing the Fisher estimate within the event keeps accuracy.
const LARGE_JUMP: f64 = 0.3;

/// Lints of one stage.
pub fn check(stage: &Stage, sources: &Sources, findings: &mut Findings) {
    for prune in &stage.prune {
        // One-shot pruning is what branches compare.
        if stage.branch_from.is_none() {
            first_jump(prune, sources, findings);
        }
        damp(prune, findings);
        spacing(stage, prune, findings);
        constant_sparsity(prune, findings);
    }
    cycles(stage, findings);
    large_rates(stage, findings);
}

/// Lints of consecutive stages.
pub fn across_stages(recipe: &Recipe, sources: &Sources, findings: &mut Findings) {
    let mut pruned: Option<&Prune> = None;
    let mut quantized: Option<&Quantize> = None;
    let first_to_prune = recipe.stages.iter().position(|s| !s.prune.is_empty());
    for (index, stage) in recipe.stages.iter().enumerate().filter(|(_, s)| s.branch_from.is_none()) {
        let trains = !stage.length.value.is_zero();
        if let (Some(earlier), true) = (pruned, trains && stage.hold.is_empty() && stage.prune.is_empty()) {
            let line = format!("hold {}", earlier.targets.selector.value);
            let (at, text) = into_block(stage.head, &line, sources);
            findings.push(
                Diagnostic::warning(
                    Code::ZerosFill,
                    format!(
                        "`{}` trains what was pruned before, and nothing holds its zeros",
                        stage.name.value
                    ),
                    stage.head,
                    "they will fill again",
                )
                .and_at(earlier.head, "pruned here")
                .help(format!("add `{line}`"))
                .unsafe_fix(at, text),
            );
        }
        // Well-known and new models are dense.
        let dense = match &recipe.model.value {
            Model::Named(name) => well_known(name).is_some(),
            Model::NewBert(_) => true,
        };
        let nothing_before = first_to_prune.is_none_or(|first| first >= index);
        if let (true, Some(hold)) = (dense && nothing_before, stage.hold.first()) {
            findings.push(
                Diagnostic::warning(
                    Code::NothingToHold,
                    "the model is dense: there are no zeros to hold",
                    hold.head,
                    "nothing is zero here",
                )
                .and_at(recipe.model.span, "the model")
                .help("start from a pruned model, or prune before this stage"),
            );
        }
        // Layers of an earlier stage stay quantized, with their ranges.
        if let (Some(earlier), Some(prune), true) =
            (quantized, stage.prune.first(), stage.quantize.is_empty())
        {
            findings.push(
                Diagnostic::warning(
                    Code::StaleRanges,
                    format!(
                        "`{}` prunes what is quantized with ranges that were fixed before",
                        stage.name.value
                    ),
                    prune.head,
                    "they will be stale",
                )
                .and_at(earlier.head, "quantized here")
                .help("prune first and quantize in the end, or quantize the same layers here again"),
            );
        }
        quantized = stage.quantize.last().or(quantized);
        pruned = stage.prune.last().or(pruned);
    }
}

/// Reports a window of several pruning events with a constant sparsity.
fn constant_sparsity(prune: &Prune, findings: &mut Findings) {
    let (Some(over), ramp) = (&prune.over, prune.sparsity.value) else { return };
    let moves = ramp.from != ramp.to && ramp.shape != Shape::Constant;
    let once = over.value.start.compare(over.value.end) == Some(Ordering::Equal);
    if moves || once || !prune.exceptions.is_empty() {
        return;
    }
    findings.push(
        Diagnostic::warning(
            Code::SparsityStands,
            "the first pruning event prunes everything, and the others nothing",
            prune.sparsity.span,
            "the same at every pruning event",
        )
        .and_at(over.span, "the window")
        .help("write a ramp such as `30% -> 80% cubic`, or leave `over` and `every` out to prune once"),
    );
}

fn first_jump(prune: &Prune, sources: &Sources, findings: &mut Findings) {
    let Criterion::Obs(obs) = &prune.by.value else { return };
    let first = if prune.over.is_some() { prune.sparsity.value.from } else { prune.sparsity.value.to };
    if first > LARGE_JUMP && obs.recompute == 1 {
        let edit = obs_argument(prune, Obs::NAMES.recompute, |spans| spans.recompute, "4", sources);
        findings.push(suggest(
            Diagnostic::advice(
                Code::FirstJump,
                format!("{:.0}% are pruned in one event, from one estimate", first * 100.0),
                prune.sparsity.span,
                "the first jump",
            )
            .and_at(prune.by.span, "recompute: 1")
            .help("more estimates help most here: `recompute: 4`"),
            edit,
        ));
    }
}

fn damp(prune: &Prune, findings: &mut Findings) {
    let Criterion::Obs(obs) = &prune.by.value else { return };
    if obs.damp > 0.0 && !(1e-10..=1e-2).contains(&obs.damp) {
        let what = if obs.damp < 1e-10 { "unstable" } else { "hardly better than magnitude" };
        findings.push(
            Diagnostic::warning(
                Code::UnusualDamp,
                format!("a dampening of {:e} is {what} for the gradients of a trained model", obs.damp),
                prune.by.span,
                format!("damp: {:e}", obs.damp),
            )
            .help("the paper uses 1e-7; try 1e-8 to 1e-4"),
        );
    }
}

/// Compares pruning events with their window and with the cycles of the learning rate.
fn spacing(stage: &Stage, prune: &Prune, findings: &mut Findings) {
    let (Some(over), Some(every)) = (&prune.over, &prune.every) else { return };
    // An empty window is an error of its own.
    if !ordered(over.value.start, over.value.end) {
        return;
    }
    let length = over.value.end.minus(over.value.start);
    if length.and_then(|l| every.value.compare(l)).is_some_and(Ordering::is_gt) {
        let message = "there are pruning events at the two ends of the window only";
        let diagnostic = Diagnostic::advice(Code::OnlyEnds, message, every.span, "longer than the window");
        findings.push(
            diagnostic
                .and_at(over.span, "the window")
                .help("prune more often, or set `every` to the length of the window"),
        );
        return;
    }
    for piece in &stage.lr {
        let Some(cycle) = &piece.repeating else { continue };
        let from_start = over.value.start.minus(piece.over.value.start);
        let whole = |time: Option<crate::schedule::Time>| {
            time.and_then(|t| t.ratio_to(cycle.value))
                .is_none_or(|share| Rational::new(share.floor(), 1) == Some(share))
        };
        let inside = over.value.start.compare(piece.over.value.start).is_some_and(Ordering::is_ge)
            && over.value.start.compare(piece.over.value.end).is_some_and(Ordering::is_lt);
        let (begins, returns) = (whole(from_start), whole(Some(every.value)));
        if inside && !(begins && returns) {
            // The start of the next cycle, or of this one if the window ends within the next.
            let beginning = |of: i128| {
                let cycles = from_start.and_then(|t| t.ratio_to(cycle.value))?.floor() + of;
                piece.over.value.start.plus(cycle.value.times(Rational::new(cycles, 1)?)?)
            };
            let lasts = |start: &crate::schedule::Time| {
                let left = over.value.end.minus(*start);
                left.and_then(|left| left.compare(cycle.value)).is_some_and(Ordering::is_ge)
            };
            let start = match begins {
                true => Some(over.value.start),
                false => beginning(1).filter(lasts).or_else(|| beginning(0)),
            };
            let clause = format!("every {}", if returns { every.value } else { cycle.value });
            let (written, edit) = match start {
                Some(start) if !begins => {
                    let window = window_text(start, over.value.end);
                    let text = if returns { window.clone() } else { format!("{window} {clause}") };
                    let at = if returns { over.span } else { over.span.to(every.span) };
                    (
                        format!("over {text}"),
                        (returns || over.span.end < every.span.start).then_some((at, text)),
                    )
                }
                _ if !returns => (clause.clone(), Some((every.span, cycle.value.to_string()))),
                _ => (format!("over {}", window_text(piece.over.value.start, over.value.end)), None),
            };
            let (at, label) = match returns {
                true => (over.span, format!("begins at {}", over.value.start)),
                false => (every.span, format!("every {}", every.value)),
            };
            findings.push(suggest(
                Diagnostic::advice(
                    Code::OffCycle,
                    "pruning does not happen where the cycles of the learning rate begin",
                    at,
                    label,
                )
                .and_at(cycle.span, format!("a cycle of {}", cycle.value))
                .help(format!(
                    "the remaining weights recover best in a whole cycle after each event: `{written}`"
                )),
                edit,
            ));
        }
    }
}

fn cycles(stage: &Stage, findings: &mut Findings) {
    for piece in &stage.lr {
        let Some(cycle) = &piece.repeating else { continue };
        let length = piece.over.value.end.minus(piece.over.value.start);
        let Some(count) = length.and_then(|l| l.ratio_to(cycle.value)) else { continue };
        if Rational::new(count.floor(), 1) != Some(count) {
            findings.push(
                Diagnostic::advice(
                    Code::ShortCycle,
                    "the last cycle of the learning rate is cut short",
                    cycle.span,
                    format!("{count} {}", agreeing(&count.to_f64(), "cycle", "cycles")),
                )
                .and_at(piece.over.span, "the piece")
                .help("let the piece be a whole number of cycles long"),
            );
        }
    }
}

/// The learning rate above which AdamW does not train a transformer.
const LARGE_RATE: f64 = 1e-2;

fn large_rates(stage: &Stage, findings: &mut Findings) {
    for piece in &stage.lr {
        let peak = piece.ramp.value.from.max(piece.ramp.value.to);
        if peak > LARGE_RATE {
            findings.push(
                Diagnostic::warning(
                    Code::LargeRate,
                    format!("a learning rate of {peak} destroys a transformer under AdamW"),
                    piece.ramp.span,
                    format!("above {LARGE_RATE}"),
                )
                .help(
                    "is an exponent missing? rates for fine-tuning are between 1e-5 and 1e-4, such as `8e-5`",
                ),
            );
        }
    }
}
