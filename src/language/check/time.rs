//! Checks of windows and learning rates against the length of their stage.
//!
//! Times are compared only if their order is the same for every number of steps in an epoch.

use std::cmp::Ordering;

use crate::diag::{Code, Diagnostic, Findings, Sources, Span};
use crate::language::syntax::ast::Spanned;
use crate::schedule::window::MOST_EVENTS;
use crate::schedule::{Rational, Time};

use super::fixes::{Edit, behind, into_block, suggest};
use super::recipe::{LrPiece, Prune, Stage, TimeRange};

/// Checks a stage.
pub fn check(stage: &Stage, sources: &Sources, findings: &mut Findings) {
    if !length(stage, sources, findings) {
        return;
    }
    lr(stage, sources, findings);
    let mut events = 0.0;
    for prune in &stage.prune {
        let own = window(stage, prune, sources, findings);
        events += own;
        let Some(every) = prune.every.as_ref().filter(|_| events > MOST_EVENTS as f64) else { continue };
        if own > MOST_EVENTS as f64 {
            let message = format!("more than {MOST_EVENTS} pruning events");
            let diagnostic = Diagnostic::error(Code::TooManyEvents, message, every.span, "too often");
            findings.push(diagnostic.help("prune less often"));
        } else {
            let message = format!("more than {MOST_EVENTS} pruning events in all statements together");
            findings.push(
                Diagnostic::error(Code::TooManyEvents, message, every.span, "here it becomes too many")
                    .help("prune less often, or several parameters in one statement"),
            );
        }
        // Later statements would only repeat the diagnostic.
        events = f64::NEG_INFINITY;
    }
    let holds = stage.hold.iter().chain(&stage.freeze).map(|h| &h.over);
    let others = stage.distill.iter().map(|d| &d.over).chain(stage.quantize.iter().map(|q| &q.over));
    for over in holds.chain(others).chain(&stage.unread) {
        inside(stage, over, sources, findings);
    }
    if let Some(every) = &stage.evaluate_every {
        positive(every, "the time between evaluations", findings);
    }
}

/// Checks the length. Returns whether times can be compared with it.
fn length(stage: &Stage, sources: &Sources, findings: &mut Findings) -> bool {
    if stage.length.value.has_negative_part() {
        let message = "a stage cannot have a negative length";
        let diagnostic = Diagnostic::error(Code::OutOfRange, message, stage.length.span, "below zero");
        findings.push(diagnostic.help("write `for 10 epochs`"));
    }
    let trains = !stage.length.value.is_zero();
    let changes = !stage.prune.is_empty() || !stage.quantize.is_empty() || stage.layers.is_some();
    if stage.complete && !trains && !changes && stage.branch_from.is_none() {
        let (help, edit) = training(stage, Time::epochs(Rational::whole(10)), sources);
        findings.push(suggest(
            Diagnostic::error(
                Code::NothingToDo,
                format!("`{}` neither trains nor prunes", stage.name.value),
                stage.head,
                "no length, no `prune`",
            )
            .help(help),
            edit,
        ));
    }
    if let (false, Some(piece)) = (trains, stage.lr.first()) {
        let (help, edit) = training(stage, Time::epochs(Rational::whole(10)), sources);
        findings.push(suggest(
            Diagnostic::error(
                Code::LengthMissing,
                format!("`{}` has a learning rate and no length", stage.name.value),
                stage.head,
                "how long?",
            )
            .and_at(piece.over.span, "given here")
            .help(help),
            edit,
        ));
        return false;
    }
    true
}

/// The help and the edit that make a stage train for `length`.
pub(super) fn training(stage: &Stage, length: Time, sources: &Sources) -> (String, Option<Edit>) {
    let known = stage.lr.last().map(|piece| piece.over.value.end).filter(|end| !end.is_zero());
    let clause = format!("for {}", known.unwrap_or(length));
    if !stage.lr.is_empty() {
        let (at, text) = behind(stage.head, &format!(" {clause}"));
        return (format!("say how long it trains: `{clause}`"), Some((at, text)));
    }
    let rate = format!("lr {{ 0..{length}: 5e-5 -> 0 linear }}");
    let help = format!("say how long it trains, and at what rate: `{clause}` and `{rate}`");
    let (at, block) = into_block(stage.head, &rate, sources);
    // One edit for both, from the end of the head to the start of the block.
    let between = Span::new(at.file, stage.head.range().end..at.range().start);
    let text = format!(" {clause}{}{block}", sources.slice(between));
    (help, Some((between, text)))
}

fn lr(stage: &Stage, sources: &Sources, findings: &mut Findings) {
    // A piece that could not be read is no gap.
    if !stage.lr_known {
        return;
    }
    let trains = !stage.length.value.is_zero();
    if trains && stage.lr.is_empty() {
        let line = format!("lr {{ 0..{}: 5e-5 -> 0 linear }}", stage.length.value);
        let (at, text) = into_block(stage.head, &line, sources);
        let message = format!("`{}` trains without a learning rate", stage.name.value);
        let diagnostic = Diagnostic::error(Code::MissingLr, message, stage.head, "no `lr` in here");
        findings.push(diagnostic.help(format!("add `{line}`")).unsafe_fix(at, text));
    }
    for piece in &stage.lr {
        let TimeRange { start, end } = piece.over.value;
        if !ordered(start, end) {
            empty(&piece.over, findings);
        }
        if let Some(repeating) = &piece.repeating {
            positive(repeating, "a cycle", findings);
        }
    }
    let Some(first) = stage.lr.first().filter(|_| trains) else { return };
    if first.over.value.start.compare(Time::ZERO) == Some(Ordering::Greater) {
        findings.push(
            Diagnostic::error(
                Code::LrGap,
                "the learning rate starts too late",
                first.over.span,
                format!("starts at {}", first.over.value.start),
            )
            .and_at(stage.head, "the stage starts at 0")
            .help(format!("begin with a piece over 0..{}", first.over.value.start)),
        );
    }
    for pair in stage.lr.windows(2) {
        neighbours(&pair[0], &pair[1], findings);
    }
    let last = &stage.lr[stage.lr.len() - 1];
    let end = last.over.value.end;
    match end.compare(stage.length.value) {
        Some(Ordering::Less) => findings.push(
            Diagnostic::error(
                Code::LrGap,
                "the learning rate ends too early",
                last.over.span,
                format!("ends at {end}"),
            )
            .and_at(stage.length.span, format!("the stage ends at {}", stage.length.value))
            .help(format!("add a piece over {end}..{}", stage.length.value)),
        ),
        Some(Ordering::Greater) => findings.push(
            Diagnostic::error(
                Code::LrOutsideStage,
                "the learning rate goes on after its stage",
                last.over.span,
                format!("ends at {end}"),
            )
            .and_at(stage.length.span, format!("the stage ends at {}", stage.length.value))
            .help(format!("end it at {}", stage.length.value))
            .unsafe_fix(last.over.span, window_text(last.over.value.start, stage.length.value)),
        ),
        _ => {}
    }
}

/// A window as it is written.
pub(super) fn window_text(start: Time, end: Time) -> String {
    format!("{}..{end}", if start.is_zero() { "0".to_owned() } else { start.to_string() })
}

fn neighbours(a: &LrPiece, b: &LrPiece, findings: &mut Findings) {
    let (end, start) = (a.over.value.end, b.over.value.start);
    match end.compare(start) {
        Some(Ordering::Less) => findings.push(
            Diagnostic::error(
                Code::LrGap,
                format!("no learning rate from {end} to {start}"),
                b.over.span,
                format!("starts at {start}"),
            )
            .and_at(a.over.span, format!("ends at {end}"))
            .help("let one piece start where the other ends")
            .unsafe_fix(b.over.span, window_text(end, b.over.value.end)),
        ),
        Some(Ordering::Greater) => findings.push(
            Diagnostic::error(
                Code::LrOverlap,
                format!("two learning rates from {start} to {end}"),
                b.over.span,
                format!("starts at {start}"),
            )
            .and_at(a.over.span, format!("ends at {end}"))
            .help("let one piece start where the other ends")
            .unsafe_fix(b.over.span, window_text(end, b.over.value.end)),
        ),
        _ => {}
    }
}

/// Checks a pruning window. Returns the number of its pruning events as far as it is known.
fn window(stage: &Stage, prune: &Prune, sources: &Sources, findings: &mut Findings) -> f64 {
    let Some(over) = &prune.over else {
        if let Some(every) = &prune.every {
            findings.push(
                Diagnostic::error(
                    Code::SettingHasNoEffect,
                    "`every` without `over`",
                    every.span,
                    "between what?",
                )
                .help("say when, as `over 2..26 epochs every 4 epochs`"),
            );
        }
        return 1.0;
    };
    inside(stage, over, sources, findings);
    let TimeRange { start, end } = over.value;
    if !ordered(start, end) {
        return 0.0;
    }
    let Some(every) = &prune.every else {
        let message = "a pruning window needs `every`";
        let diagnostic = Diagnostic::error(Code::MissingOperand, message, over.span, "how often?");
        findings.push(diagnostic.help("as `over 2..26 epochs every 4 epochs`"));
        return 0.0;
    };
    positive(every, "the time between pruning events", findings);
    // With epochs and steps mixed, the bound of one step per epoch is used.
    let length = end.minus(start);
    let at_least = |t: crate::schedule::Time| t.in_steps(1);
    let events = length
        .and_then(|length| length.ratio_to(every.value))
        .or_else(|| at_least(length?).over(at_least(every.value)));
    if end.compare(stage.length.value) == Some(Ordering::Equal) {
        findings.push(
            Diagnostic::warning(
                Code::NoRecovery,
                "pruning ends with its stage: no step is left to recover",
                over.span,
                format!("the last event is at {end}"),
            )
            .and_at(stage.length.span, format!("the stage ends at {}", stage.length.value))
            .help("let the window end earlier"),
        );
    }
    events.map_or(0.0, |n| n.to_f64())
}

/// Checks that a window is within its stage and not empty.
fn inside(stage: &Stage, over: &Spanned<TimeRange>, sources: &Sources, findings: &mut Findings) {
    let TimeRange { start, end } = over.value;
    let length = stage.length.value;
    if start.has_negative_part() || start.compare(Time::ZERO) == Some(Ordering::Less) {
        let message = "the window starts before its stage";
        let diagnostic = Diagnostic::error(Code::WindowLeavesRun, message, over.span, "below 0");
        findings.push(diagnostic.help("a stage's time starts at 0"));
    } else if length.is_zero() && !end.is_zero() {
        let (help, edit) = training(stage, end, sources);
        findings.push(suggest(
            Diagnostic::error(
                Code::WindowLeavesRun,
                format!("a window in `{}`, which has no length", stage.name.value),
                over.span,
                format!("ends at {end}"),
            )
            .and_at(stage.head, "no `for` here")
            .help(help),
            edit,
        ));
    } else if end.compare(length) == Some(Ordering::Greater) {
        let edit = ordered(start, length).then(|| (over.span, window_text(start, length)));
        findings.push(suggest(
            Diagnostic::error(
                Code::WindowLeavesRun,
                "the window goes on after its stage",
                over.span,
                format!("ends at {end}"),
            )
            .and_at(stage.length.span, format!("the stage ends at {length}"))
            .help(format!("end the window at {length} or earlier, or make the stage longer")),
            edit,
        ));
    } else if !ordered(start, end) && !length.is_zero() {
        empty(over, findings);
    }
}

/// Whether `start` is before `end`, or their order is unknown.
pub(super) fn ordered(start: Time, end: Time) -> bool {
    start.compare(end).is_none_or(Ordering::is_lt)
}

fn empty(over: &Spanned<TimeRange>, findings: &mut Findings) {
    let TimeRange { start, end } = over.value;
    let (label, help, edit) = match start.compare(end) {
        Some(Ordering::Equal) => ("ends where it starts", "let it end later".to_owned(), None),
        _ => {
            let turned = window_text(end, start);
            let help = format!("write the earlier time first: `{turned}`");
            ("ends before it starts", help, Some((over.span, turned)))
        }
    };
    let diagnostic = Diagnostic::error(Code::EmptyWindow, "the window is empty", over.span, label);
    findings.push(suggest(diagnostic.help(help), edit));
}

fn positive(time: &Spanned<Time>, what: &str, findings: &mut Findings) {
    if time.value.compare(Time::ZERO).is_some_and(Ordering::is_le) {
        let message = format!("{what} must be above zero");
        let diagnostic = Diagnostic::error(Code::OutOfRange, message, time.span, "not above zero");
        findings.push(diagnostic.help("as `4 epochs` or `500 steps`"));
    }
}
