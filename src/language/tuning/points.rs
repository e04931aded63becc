//! Checks of the settings of a grid search and of the sparsities to try: combinations that would be errors in a recipe.

use crate::diag::{Code, Diagnostic, Findings, Span, counted};
use crate::schedule::ir::{Obs, Pattern, Precision, Update};

use super::grid::{Axis, Level, points};

/// Reports invalid combinations of settings, each kind once for each value.
pub fn check_points(axes: &[Axis], base: &Obs, pattern: Pattern, findings: &mut Findings) {
    let mut reported: Vec<(&str, Span)> = Vec::new();
    for point in points(axes) {
        let mut obs = base.clone();
        axes.iter().zip(&point).for_each(|(axis, index)| axis.set(&mut obs, *index));
        for conflict in conflicts(&obs, pattern) {
            let given: Vec<(&str, Span)> = axes
                .iter()
                .zip(&point)
                .filter(|(axis, _)| conflict.settings.contains(&axis.name))
                .map(|(axis, index)| (axis.name, axis.values[*index].span))
                .collect();
            // Settings of the recipe itself were checked with the recipe.
            let Some((name, span)) = given.first().copied().filter(|first| !reported.contains(first)) else {
                continue;
            };
            reported.push((name, span));
            let message = conflict.message;
            let mut diagnostic = Diagnostic::error(Code::PointWithoutSense, message, span, "with this value");
            if let Some((_, other)) = given.get(1) {
                diagnostic = diagnostic.and_at(*other, "and this one");
            }
            findings.push(diagnostic.help(conflict.help));
        }
    }
}

/// Reports levels of sparsity above the statement's `at_most`, and those that differ from that of an N:M pattern.
pub fn check_levels(levels: &[Level], pattern: Pattern, at_most: Option<f64>, findings: &mut Findings) {
    let limit = at_most.unwrap_or(1.0);
    for level in levels.iter().filter(|level| level.sparsity > limit) {
        let message = format!("the recipe prunes at most {}% of each parameter", (limit * 1e6).round() / 1e4);
        let diagnostic = Diagnostic::error(Code::LimitTooLow, message, level.span, "above it");
        findings.push(diagnostic.help("raise `at_most` in the recipe, or leave this level out"));
    }
    let Pattern::NofM { keep, of } = pattern else { return };
    let share = 1.0 - keep as f64 / of as f64;
    for level in levels.iter().filter(|l| (l.sparsity - share).abs() > 1e-9) {
        let percent = share * 100.0;
        let message = format!("{keep} of {of} is a sparsity of {percent}%");
        let diagnostic = Diagnostic::error(Code::PatternDoesNotFit, message, level.span, "another sparsity");
        findings.push(diagnostic.help(format!("write `--at {percent}%`")));
    }
}

struct Conflict {
    /// The settings involved; the diagnostic points at the first one on an axis.
    settings: &'static [&'static str],
    message: String,
    help: String,
}

fn conflicts(obs: &Obs, pattern: Pattern) -> Vec<Conflict> {
    let group = pattern.width();
    let mut list = Vec::new();
    let mut reject = |invalid: bool, settings, message: String, help: String| {
        if invalid {
            list.push(Conflict { settings, message, help });
        }
    };
    reject(
        !obs.block.is_multiple_of(group),
        &[Obs::NAMES.block],
        format!("a Fisher block of {} does not hold whole groups of {group}", obs.block),
        format!("use a multiple of {group}, such as {}", (obs.block / group).max(1) * group),
    );
    reject(
        obs.damp <= 0.0,
        &[Obs::NAMES.damp],
        "`damp` must be above zero".into(),
        "1e-7 is the paper's".into(),
    );
    reject(
        obs.correlated && obs.update == Update::Independent,
        &[Obs::NAMES.update, Obs::NAMES.correlated],
        "`correlated` updates saliencies with the exact update".into(),
        "leave `independent` out, or sweep it by itself".into(),
    );
    reject(
        obs.gradients < obs.block && obs.precision == Precision::Bf16,
        &[Obs::NAMES.gradients, Obs::NAMES.precision, Obs::NAMES.block],
        format!(
            "{} in bf16 cannot fill a Fisher block of {}",
            counted(obs.gradients, "gradient", "gradients"),
            obs.block
        ),
        format!("use at least `gradients: {}`, or `precision: f32`", obs.block),
    );
    list
}
