//! Rounding to few bits: schemes that make sense, ranges that are observed long enough.

use std::cmp::Ordering;

use crate::diag::{Code, Diagnostic, Findings};
use crate::language::check::recipe::{Quantize, Stage};

/// Checks every `quantize` of a stage.
pub fn check(stage: &Stage, findings: &mut Findings) {
    for quantize in &stage.quantize {
        schemes(quantize, findings);
        freeze(stage, quantize, findings);
        closes(stage, quantize, findings);
        if stage.length.value.is_zero() && quantize.calibrate == 0 && quantize.activations.value.is_some() {
            findings.push(
                Diagnostic::error(
                    Code::SettingHasNoEffect,
                    "inputs are rounded without ever being observed",
                    quantize.head,
                    "no training, no `calibrate`",
                )
                .help("add `calibrate: 128`, or say how long the stage trains"),
            );
        }
    }
}

fn schemes(quantize: &Quantize, findings: &mut Findings) {
    let mut wrong = |message: &str, span, help: &str| {
        findings.push(Diagnostic::error(Code::SchemeWithoutSense, message, span, "this scheme").help(help));
    };
    match quantize.weights.value {
        None => wrong(
            "weights must be rounded to something",
            quantize.weights.span,
            "as `weights: int8(symmetric, per: channel)`; leave the statement out to round nothing",
        ),
        Some(scheme) if !scheme.signed => wrong(
            "weights lie on both sides of zero and need a signed type",
            quantize.weights.span,
            "use `int8`, or `int4` for half the size",
        ),
        Some(scheme) if !scheme.symmetric => wrong(
            "weights are rounded around zero, so that pruned ones stay exactly zero",
            quantize.weights.span,
            "leave `asymmetric` out",
        ),
        _ => {}
    }
    match quantize.activations.value {
        Some(scheme) if !scheme.signed && scheme.symmetric => wrong(
            "an unsigned range cannot have zero in its middle",
            quantize.activations.span,
            "write `uint8(asymmetric)`",
        ),
        Some(scheme) if scheme.per_channel => wrong(
            "inputs share one scale: a product cannot undo one for each input",
            quantize.activations.span,
            "write `per: tensor`",
        ),
        _ => {}
    }
}

/// What is rounded stays so.
fn closes(stage: &Stage, quantize: &Quantize, findings: &mut Findings) {
    let (over, length) = (&quantize.over, stage.length.value);
    let is_short = over.value.end.compare(length).is_some_and(Ordering::is_lt);
    // A window that is empty or runs backwards is an error of its own.
    if is_short && over.value.start.compare(over.value.end).is_some_and(Ordering::is_lt) {
        findings.push(
            Diagnostic::warning(
                Code::RoundingStays,
                "what is rounded stays rounded when the window closes; only its ranges are fixed",
                over.span,
                format!("ends at {}, the stage at {length}", over.value.end),
            )
            .help("let the window last to the end of the stage, and say when ranges are fixed: `freeze: after …`"),
        );
    }
}

fn freeze(stage: &Stage, quantize: &Quantize, findings: &mut Findings) {
    let Some(freeze) = &quantize.freeze else { return };
    let instants = quantize.over.value;
    let Some(at) = instants.start.plus(freeze.value) else { return };
    if at.compare(instants.end).is_some_and(Ordering::is_ge) {
        findings.push(
            Diagnostic::error(
                Code::WindowLeavesRun,
                "ranges are fixed after the window has closed",
                freeze.span,
                format!("at {at}"),
            )
            .and_at(quantize.over.span, format!("ends at {}", instants.end))
            .help("fix them earlier, counted from the start of the window"),
        );
    }
    let sees_nothing = quantize.activations.value.is_some() && quantize.calibrate == 0;
    if sees_nothing && at.compare(instants.start).is_some_and(Ordering::is_le) {
        findings.push(
            Diagnostic::error(
                Code::FixedUnseen,
                "ranges are fixed before anything is observed",
                freeze.span,
                "when the window opens",
            )
            .help("fix them later, or observe some batches first: `calibrate: 128`"),
        );
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
                .help("fix them after the last pruning instant"),
            );
        }
    }
}
