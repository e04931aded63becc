//! Checks of quantization: schemes, and ranges that are observed before they are fixed.

use std::cmp::Ordering;

use crate::diag::{Code, Diagnostic, Findings, Sources};
use crate::language::check::fixes::{Edit, into_block, suggest};
use crate::language::check::recipe::{Quantize, Stage};
use crate::schedule::ir::Scheme;

/// Checks every `quantize` of a stage.
pub fn check(stage: &Stage, sources: &Sources, findings: &mut Findings) {
    for quantize in &stage.quantize {
        schemes(quantize, findings);
        freeze(stage, quantize, sources, findings);
        closes(stage, quantize, findings);
        if stage.length.value.is_zero()
            && quantize.calibrate.value == 0
            && quantize.activations.value.is_some()
        {
            let diagnostic = Diagnostic::error(
                Code::SettingHasNoEffect,
                "inputs are quantized but never observed",
                quantize.head,
                "no training, no `calibrate`",
            )
            .help("add `calibrate: 128`, or say how long the stage trains");
            findings.push(suggest(diagnostic, Some(calibrate(quantize, sources))));
        }
    }
}

fn schemes(quantize: &Quantize, findings: &mut Findings) {
    let mut wrong = |message: &str, at, written: Scheme| {
        let diagnostic = Diagnostic::error(Code::SchemeWithoutSense, message, at, "this scheme");
        findings.push(diagnostic.help(format!("write `{written}`")).unsafe_fix(at, written.to_string()));
    };
    let weights = Scheme { bits: 8, signed: true, symmetric: true, per_channel: true };
    let at = quantize.weights.span;
    match quantize.weights.value {
        None => wrong("weights must be quantized to something", at, weights),
        Some(scheme) if !scheme.signed => {
            let written = Scheme { signed: true, symmetric: true, ..scheme };
            wrong("weights are positive and negative and need a signed type", at, written);
        }
        Some(scheme) if !scheme.symmetric => {
            let written = Scheme { symmetric: true, ..scheme };
            wrong("weights are quantized around zero, so that pruned ones stay exactly zero", at, written);
        }
        _ => {}
    }
    let at = quantize.activations.span;
    match quantize.activations.value {
        Some(scheme) if !scheme.signed && scheme.symmetric => {
            let written = Scheme { symmetric: false, per_channel: false, ..scheme };
            wrong("an unsigned range cannot have zero in its middle", at, written);
        }
        Some(scheme) if scheme.per_channel => {
            let written = Scheme { per_channel: false, ..scheme };
            wrong(
                "activations are quantized per tensor: scales per input channel cannot be factored out of the matrix product",
                at,
                written,
            );
        }
        _ => {}
    }
}

/// Warns that fake quantization stays on after its window.
fn closes(stage: &Stage, quantize: &Quantize, findings: &mut Findings) {
    let (over, length) = (&quantize.over, stage.length.value);
    let is_short = over.value.end.compare(length).is_some_and(Ordering::is_lt);
    // An empty window has a diagnostic of its own.
    if is_short && over.value.start.compare(over.value.end).is_some_and(Ordering::is_lt) {
        findings.push(
            Diagnostic::warning(
                Code::RoundingStays,
                "what is quantized stays quantized when the window closes; only its ranges are fixed",
                over.span,
                format!("ends at {}, the stage at {length}", over.value.end),
            )
            .help("let the window last to the end of the stage, and say when ranges are fixed: `freeze: after …`"),
        );
    }
}

fn freeze(stage: &Stage, quantize: &Quantize, sources: &Sources, findings: &mut Findings) {
    let Some(freeze) = &quantize.freeze else { return };
    let window = quantize.over.value;
    let Some(at) = window.start.plus(freeze.value) else { return };
    if at.compare(window.end).is_some_and(Ordering::is_ge) {
        let message = "ranges are fixed after the window has closed";
        let diagnostic = Diagnostic::error(Code::WindowLeavesRun, message, freeze.span, format!("at {at}"));
        findings.push(
            diagnostic
                .and_at(quantize.over.span, format!("ends at {}", window.end))
                .help("fix them earlier, counted from the start of the window"),
        );
    }
    let sees_nothing = quantize.activations.value.is_some() && quantize.calibrate.value == 0;
    if sees_nothing && at.compare(window.start).is_some_and(Ordering::is_le) {
        let diagnostic = Diagnostic::error(
            Code::FixedUnseen,
            "ranges are fixed before anything is observed",
            freeze.span,
            "when the window opens",
        )
        .help("fix them later, or observe some batches first: `calibrate: 128`");
        findings.push(suggest(diagnostic, Some(calibrate(quantize, sources))));
    }
    for prune in &stage.prune {
        let Some(over) = &prune.over else { continue };
        if at.compare(over.value.end).is_some_and(Ordering::is_lt) {
            findings.push(
                Diagnostic::warning(
                    Code::StaleRanges,
                    "ranges are fixed before pruning ends: they will be stale",
                    freeze.span,
                    format!("fixed at {at}"),
                )
                .and_at(over.span, format!("pruned until {}", over.value.end))
                .help("fix them after the last pruning event"),
            );
        }
    }
}

/// Sets `calibrate`: replaces its value, or adds a line.
fn calibrate(quantize: &Quantize, sources: &Sources) -> Edit {
    match quantize.calibrate.span == quantize.head {
        true => into_block(quantize.head, "calibrate: 128", sources),
        false => (quantize.calibrate.span, "128".to_owned()),
    }
}
