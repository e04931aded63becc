//! Points of a grid that could never stand in a recipe: what the checker would say of each.

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::schedule::ir::{Obs, Pattern, Precision, Update};

use super::grid::{Axis, Level, points};

/// Refuses points without sense, each kind of them once for each value.
pub fn check_points(axes: &[Axis], base: &Obs, pattern: Pattern, findings: &mut Findings) {
    let mut said: Vec<(&str, Span)> = Vec::new();
    for point in points(axes) {
        let mut obs = base.clone();
        axes.iter().zip(&point).for_each(|(axis, index)| axis.set(&mut obs, *index));
        for nonsense in without_sense(&obs, pattern) {
            let given: Vec<(&str, Span)> = axes
                .iter()
                .zip(&point)
                .filter(|(axis, _)| nonsense.settings.contains(&axis.name))
                .map(|(axis, index)| (axis.name, axis.values[*index].span))
                .collect();
            // What the recipe itself says was checked with it.
            let Some((name, span)) = given.first().copied().filter(|first| !said.contains(first)) else {
                continue;
            };
            said.push((name, span));
            let message = nonsense.message;
            let mut diagnostic = Diagnostic::error(Code::PointWithoutSense, message, span, "with this value");
            if let Some((_, other)) = given.get(1) {
                diagnostic = diagnostic.and_at(*other, "and this one");
            }
            findings.push(diagnostic.help(nonsense.help));
        }
    }
}

/// Refuses levels that a pattern does not have.
pub fn check_levels(levels: &[Level], pattern: Pattern, findings: &mut Findings) {
    let Pattern::NofM { keep, of } = pattern else { return };
    let share = 1.0 - keep as f64 / of as f64;
    for level in levels.iter().filter(|l| (l.sparsity - share).abs() > 1e-9) {
        let percent = share * 100.0;
        let message = format!("{keep} of {of} is a sparsity of {percent}%");
        let diagnostic = Diagnostic::error(Code::PatternDoesNotFit, message, level.span, "another sparsity");
        findings.push(diagnostic.help(format!("write `--at {percent}%`")));
    }
}

struct Nonsense {
    /// The settings that do not go together, the first of them to be blamed.
    settings: &'static [&'static str],
    message: String,
    help: String,
}

fn without_sense(obs: &Obs, pattern: Pattern) -> Vec<Nonsense> {
    let group = match pattern {
        Pattern::Blocks(size) => size,
        Pattern::NofM { of, .. } => of,
        Pattern::Unstructured | Pattern::Rows | Pattern::Columns => 1,
    };
    let mut list = Vec::new();
    let mut says = |wrong: bool, settings, message: String, help: String| {
        if wrong {
            list.push(Nonsense { settings, message, help });
        }
    };
    says(
        !obs.block.is_multiple_of(group),
        &[Obs::NAMES.block],
        format!("a Fisher block of {} does not hold whole groups of {group}", obs.block),
        format!("use a multiple of {group}, such as {}", (obs.block / group).max(1) * group),
    );
    says(
        obs.damp <= 0.0,
        &[Obs::NAMES.damp],
        "`damp` must be above zero".into(),
        "1e-7 is the paper's".into(),
    );
    says(
        obs.correlated && obs.update == Update::Independent,
        &[Obs::NAMES.update, Obs::NAMES.correlated],
        "`correlated` refreshes saliencies by the exact update".into(),
        "leave `independent` out, or sweep it by itself".into(),
    );
    says(
        obs.gradients < obs.block && obs.precision == Precision::Bf16,
        &[Obs::NAMES.gradients, Obs::NAMES.precision, Obs::NAMES.block],
        format!("{} gradients in bf16 cannot fill a Fisher block of {}", obs.gradients, obs.block),
        format!("use at least {} gradients, or `precision: f32`", obs.block),
    );
    list
}
