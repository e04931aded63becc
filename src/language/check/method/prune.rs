//! Checks of pruning: sparsities, patterns, and the settings of `obs`.

use crate::diag::{Code, Diagnostic, Findings, Sources, Span, counted};
use crate::language::check::fixes::{obs_argument, suggest};
use crate::language::check::recipe::{Prune, SparsityException, Stage};
use crate::schedule::ir::{Criterion, Obs, ObsEach, Pattern, Precision, Rank, Update};

/// Checks every `prune` of a stage.
pub fn check(stage: &Stage, sources: &Sources, findings: &mut Findings) {
    for prune in &stage.prune {
        sparsity(prune, findings);
        exceptions(prune, findings);
        pattern(prune, findings);
        ranking(prune, findings);
        if let Criterion::Obs(obs) = &prune.by.value {
            second_order(prune, obs, sources, findings);
        }
    }
}

/// Checks that final sparsities of `target` lines are not below the start of the ramp.
fn exceptions(prune: &Prune, findings: &mut Findings) {
    for SparsityException { sparsity, .. } in &prune.exceptions {
        if sparsity.value <= 0.0 || sparsity.value >= 1.0 {
            findings.push(
                Diagnostic::error(
                    Code::OutOfRange,
                    "a final sparsity is between 0% and 100%",
                    sparsity.span,
                    "nothing or everything would be pruned",
                )
                .help("as `80%`; to leave parameters out, use `except`"),
            );
        } else if prune.over.is_some() && sparsity.value < prune.sparsity.value.from {
            findings.push(
                Diagnostic::error(
                    Code::SparsityFalls,
                    "a pruned sparsity cannot fall: what is pruned stays pruned",
                    sparsity.span,
                    "below the first sparsity",
                )
                .and_at(prune.sparsity.span, "the ramp")
                .help("start the ramp lower, or give these parameters a statement of their own"),
            );
        }
    }
}

fn sparsity(prune: &Prune, findings: &mut Findings) {
    let ramp = prune.sparsity.value;
    let span = prune.sparsity.span;
    if ramp.to < ramp.from {
        let risen = format!("{} -> {} {}", percent(ramp.to), percent(ramp.from), ramp.shape);
        findings.push(
            Diagnostic::error(
                Code::SparsityFalls,
                "a pruned sparsity cannot fall: what is pruned stays pruned",
                span,
                format!("from {} to {}", percent(ramp.from), percent(ramp.to)),
            )
            .help(format!("let it rise: `{risen}`"))
            .unsafe_fix(span, risen),
        );
    }
    if ramp.to <= 0.0 || ramp.to >= 1.0 {
        let what = if ramp.to <= 0.0 { "nothing would be pruned" } else { "nothing would be left" };
        findings.push(
            Diagnostic::error(Code::OutOfRange, "a final sparsity is between 0% and 100%", span, what)
                .help("as `80%`"),
        );
    }
    if prune.over.is_none() && ramp.from != ramp.to {
        let message = "a rising sparsity needs a window";
        let diagnostic = Diagnostic::error(Code::MissingOperand, message, span, "from when to when?");
        findings.push(
            diagnostic
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
                .help(format!("write `sparsity: {}%`", share * 100.0))
                .unsafe_fix(prune.sparsity.span, format!("{}%", share * 100.0)),
            );
        }
        if prune.rank.value != Rank::Layer && prune.rank.span != prune.head {
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

/// A measured ranking needs an estimate; no sparsity lies above the limit for a parameter.
fn ranking(prune: &Prune, findings: &mut Findings) {
    if prune.rank.value == Rank::Measured && !matches!(prune.by.value, Criterion::Obs(_)) {
        findings.push(
            Diagnostic::error(
                Code::RankNeedsGradients,
                "a measured ranking evaluates layers pruned by second-order updates",
                prune.rank.span,
                "needs `by: obs`",
            )
            .and_at(prune.by.span, "another criterion")
            .help("write `rank: global`, or `by: obs`")
            .unsafe_fix(prune.rank.span, Rank::Global.word()),
        );
    }
    let Some(limit) = &prune.at_most else { return };
    let targets = std::iter::once((prune.sparsity.value.to, prune.sparsity.span));
    let exceptions = prune.exceptions.iter().map(|e| (e.sparsity.value, e.sparsity.span));
    for (sparsity, span) in targets.chain(exceptions).filter(|(sparsity, _)| *sparsity > limit.value) {
        findings.push(
            Diagnostic::error(
                Code::LimitTooLow,
                format!(
                    "{} cannot be reached with at most {} of each parameter",
                    percent(sparsity),
                    percent(limit.value)
                ),
                limit.span,
                "below the sparsity",
            )
            .and_at(span, "the sparsity")
            .help(format!("write `at_most: {}` or more, or lower the sparsity", percent(sparsity)))
            .unsafe_fix(limit.span, percent(sparsity)),
        );
    }
}

/// A share as it is written in a recipe.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}

fn second_order(prune: &Prune, obs: &Obs, sources: &Sources, findings: &mut Findings) {
    let by = &prune.by;
    let names = &Obs::NAMES;
    let set =
        |name, span: fn(&ObsEach<Span>) -> Span, value: &str| obs_argument(prune, name, span, value, sources);
    let group = prune.pattern.value.width();
    if !obs.block.is_multiple_of(group) {
        let block = (obs.block / group).max(1) * group;
        findings.push(suggest(
            Diagnostic::error(
                Code::BlockDoesNotFit,
                format!("a Fisher block of {} does not hold whole groups of {group}", obs.block),
                by.span,
                format!("block: {}", obs.block),
            )
            .and_at(prune.pattern.span, format!("{}", prune.pattern.value))
            .help(format!("use a multiple of {group}, such as `block: {block}`")),
            set(names.block, |s| s.block, &block.to_string()),
        ));
    }
    if obs.damp <= 0.0 {
        findings.push(suggest(
            Diagnostic::error(
                Code::OutOfRange,
                "`damp` must be above zero",
                by.span,
                format!("damp: {}", obs.damp),
            )
            .help("the paper uses 1e-7: write `damp: 1e-7`"),
            set(names.damp, |s| s.damp, "1e-7"),
        ));
    }
    if obs.correlated && obs.update == Update::Independent {
        findings.push(suggest(
            Diagnostic::error(
                Code::SettingHasNoEffect,
                "`correlated` updates saliencies with the exact update",
                by.span,
                "update: independent",
            )
            .help("write `update: exact`"),
            set(names.update, |s| s.update, Update::Exact.word()),
        ));
    }
    if obs.gradients < obs.block && obs.precision == Precision::Bf16 {
        findings.push(suggest(
            Diagnostic::error(
                Code::RankDeficient,
                format!(
                    "{} cannot fill a Fisher block of {}",
                    counted(obs.gradients, "gradient", "gradients"),
                    obs.block
                ),
                by.span,
                "what is left to `damp` needs more digits than bf16 has",
            )
            .help(format!("use at least `gradients: {}`, or `precision: f32`", obs.block)),
            set(names.gradients, |s| s.gradients, &obs.block.to_string()),
        ));
    } else if obs.gradients < obs.block {
        findings.push(suggest(
            Diagnostic::warning(
                Code::RankDeficient,
                format!(
                    "{} cannot fill a Fisher block of {}",
                    counted(obs.gradients, "gradient", "gradients"),
                    obs.block
                ),
                by.span,
                "the estimate rests on `damp` alone in the other directions",
            )
            .help(format!("use at least `gradients: {}`, or a smaller block", obs.block)),
            set(names.gradients, |s| s.gradients, &obs.block.to_string()),
        ));
    }
}
