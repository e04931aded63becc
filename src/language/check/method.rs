//! What pruning, holding and distilling ask of their settings and of each other.

use std::cmp::Ordering;

use crate::diag::{Code, Diagnostic, Findings};
use crate::language::syntax::ast::Spanned;
use crate::schedule::ir::{Criterion, Model, Obs, Pattern, Rank};

use super::recipe::{Distill, Prune, Recipe, Stage};

/// Checks every stage.
pub fn check(recipe: &Recipe, findings: &mut Findings) {
    if let Model::NewBert(shape) = &recipe.model.value {
        // The vocabulary is known only with the data.
        let shape = crate::params::BertShape { vocab: 1, ..*shape };
        if let Some(why) = shape.impossible() {
            findings.push(
                Diagnostic::error(Code::OutOfRange, "no BERT can have this shape", recipe.model.span, why)
                    .help("as `bert(layers: 2, hidden: 128, heads: 4)`"),
            );
        }
    }
    for stage in &recipe.stages {
        for prune in &stage.prune {
            sparsity(prune, findings);
            pattern(prune, findings);
            if let Criterion::Obs(obs) = &prune.by.value {
                surgeon(prune, obs, findings);
            }
        }
        if let Some(distill) = &stage.distill {
            distillation(stage, distill, findings);
        }
        lengths(stage, findings);
    }
    for expectation in &recipe.expect {
        let (least, most) = expectation.range.value;
        if least > most {
            findings.push(
                Diagnostic::error(
                    Code::EmptyWindow,
                    "no value lies in this range",
                    expectation.range.span,
                    "the greater comes first",
                )
                .help(format!("write `{most} .. {least}`")),
            );
        }
        const METRICS: [&str; 2] = ["f1", "em"];
        let metric = &expectation.metric;
        if !METRICS.contains(&metric.value.as_str()) {
            let near = crate::diag::nearest(&metric.value, METRICS);
            let help = near.map_or(format!("the metrics are {}", METRICS.join(", ")), |n| {
                format!("did you mean `{n}`?")
            });
            let message = format!("there is no metric `{}`", metric.value);
            findings.push(
                Diagnostic::error(Code::UnknownName, message, metric.span, "unknown metric").help(help),
            );
        }
    }
}

fn sparsity(prune: &Prune, findings: &mut Findings) {
    let ramp = prune.sparsity.value;
    let span = prune.sparsity.span;
    let percent = |share: f64| format!("{}%", (share * 1e6).round() / 1e4);
    if ramp.to < ramp.from {
        findings.push(
            Diagnostic::error(
                Code::SparsityFalls,
                "a pruned sparsity cannot fall: what is pruned stays pruned",
                span,
                format!("from {} to {}", percent(ramp.from), percent(ramp.to)),
            )
            .help(format!("write `{} -> {}`", percent(ramp.to), percent(ramp.from))),
        );
    }
    if ramp.to <= 0.0 || ramp.to >= 1.0 {
        let what = if ramp.to <= 0.0 { "nothing would be pruned" } else { "nothing would be left" };
        findings.push(
            Diagnostic::error(Code::OutOfRange, "a final sparsity lies between 0% and 100%", span, what)
                .help("as `80%`"),
        );
    }
    if prune.over.is_none() && ramp.from != ramp.to {
        findings.push(
            Diagnostic::error(
                Code::MissingOperand,
                "a rising sparsity needs a window",
                span,
                "from when to when?",
            )
            .and_at(prune.head, "no `over` here")
            .help("as `prune … over 2..26 epochs every 4 epochs`, or give one sparsity"),
        );
    }
}

fn pattern(prune: &Prune, findings: &mut Findings) {
    if let Pattern::NofM { keep, of } = prune.pattern.value {
        let share = 1.0 - keep as f64 / of as f64;
        if keep >= of {
            findings.push(
                Diagnostic::error(
                    Code::OutOfRange,
                    format!("{keep} of {of} prunes nothing"),
                    prune.pattern.span,
                    "the first number must be smaller",
                )
                .help("as `n_of_m(2, 4)`"),
            );
        } else if (prune.sparsity.value.to - share).abs() > 1e-9 {
            findings.push(
                Diagnostic::error(
                    Code::PatternDoesNotFit,
                    format!("{keep} of {of} is a sparsity of {}%", share * 100.0),
                    prune.sparsity.span,
                    "another sparsity",
                )
                .and_at(prune.pattern.span, "the pattern")
                .help(format!("write `sparsity: {}%`", share * 100.0)),
            );
        }
        if prune.rank.value == Rank::Global && prune.rank.span != prune.head {
            findings.push(
                Diagnostic::warning(
                    Code::SettingHasNoEffect,
                    "`rank` has no effect on this pattern: each run keeps its own weights",
                    prune.rank.span,
                    "no effect",
                )
                .help("remove it"),
            );
        }
    }
}

fn surgeon(prune: &Prune, obs: &Obs, findings: &mut Findings) {
    let by = &prune.by;
    let group = match prune.pattern.value {
        Pattern::Blocks(size) => size,
        Pattern::NofM { of, .. } => of,
        Pattern::Unstructured => 1,
    };
    if !obs.block.is_multiple_of(group) {
        findings.push(
            Diagnostic::error(
                Code::BlockDoesNotFit,
                format!("a Fisher block of {} does not hold whole groups of {group}", obs.block),
                by.span,
                format!("block: {}", obs.block),
            )
            .and_at(prune.pattern.span, format!("{}", prune.pattern.value))
            .help(format!(
                "use a multiple of {group}, such as `block: {}`",
                (obs.block / group).max(1) * group
            )),
        );
    }
    if obs.damp <= 0.0 {
        findings.push(
            Diagnostic::error(
                Code::OutOfRange,
                "`damp` must be above zero",
                by.span,
                format!("damp: {}", obs.damp),
            )
            .help("1e-7 is the paper's"),
        );
    }
    if obs.gradients < obs.block {
        findings.push(
            Diagnostic::warning(
                Code::RankDeficient,
                format!("{} gradients cannot fill a Fisher block of {}", obs.gradients, obs.block),
                by.span,
                "the estimate rests on `damp` alone in the other directions",
            )
            .help(format!("use at least {} gradients, or a smaller block", obs.block)),
        );
    }
}

fn distillation(stage: &Stage, distill: &Distill, findings: &mut Findings) {
    if distill.temperature.value <= 0.0 {
        findings.push(
            Diagnostic::error(
                Code::OutOfRange,
                "a temperature is above zero",
                distill.temperature.span,
                format!("this is {}", distill.temperature.value),
            )
            .help("the paper uses 2.0"),
        );
    }
    if stage.length.value.is_zero() {
        findings.push(
            Diagnostic::error(
                Code::SettingHasNoEffect,
                "`distill` in a stage that does not train",
                distill.head,
                "nothing is learned here",
            )
            .help("say how long the stage trains: `for 10 epochs`"),
        );
    }
    const OUTPUTS: [&str; 3] = ["start_logits", "end_logits", "logits"];
    for output in &distill.outputs {
        if !OUTPUTS.contains(&output.value.as_str()) {
            let near = crate::diag::nearest(&output.value, OUTPUTS);
            let help = near.map_or(format!("the outputs are {}", OUTPUTS.join(", ")), |n| {
                format!("did you mean `{n}`?")
            });
            let message = format!("there is no output `{}`", output.value);
            findings.push(
                Diagnostic::error(Code::UnknownName, message, output.span, "unknown output").help(help),
            );
        }
    }
}

/// Settings that are given and can do nothing.
fn lengths(stage: &Stage, findings: &mut Findings) {
    let effect = |what: &str, span: Spanned<()>| {
        Diagnostic::error(
            Code::SettingHasNoEffect,
            format!("`{what}` in a stage that does not train"),
            span.span,
            "no effect",
        )
        .help("say how long the stage trains: `for 10 epochs`")
    };
    if stage.length.value.is_zero() {
        if let Some(every) = &stage.evaluate_every {
            findings.push(effect("evaluate", every.clone().map(|_| ())));
        }
        for hold in &stage.hold {
            findings.push(effect("hold", Spanned::new((), hold.head)));
        }
    } else if let Some(every) = &stage.evaluate_every
        && every.value.compare(stage.length.value).is_some_and(Ordering::is_ge)
    {
        findings.push(
            Diagnostic::warning(
                Code::SettingHasNoEffect,
                "`evaluate` never fires before the end, which is measured anyway",
                every.span,
                format!("the stage is {} long", stage.length.value),
            )
            .help("measure more often, or remove it"),
        );
    }
}
