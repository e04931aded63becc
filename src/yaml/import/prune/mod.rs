//! Translates gradual and constant pruning modifiers. [`sparsity`] reads the sparsities, and [`method`] the
//! pattern, the ranking and the criterion.

mod method;
mod sparsity;

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::yaml::recipe::Number;
use crate::yaml::recipe::numbers::Conversion;

pub(super) use sparsity::percent;

use method::{criterion, fits_sparsity, pattern, rank};
use sparsity::{every, exceptions, sparsities};

use super::draft::{Draft, Epochs, Line, Order};
use super::select::Select;
use super::time::{Timed, epochs, in_epochs};

/// The shapes of a sparsity schedule.
const SHAPES: [&str; 3] = ["linear", "cubic", "inverse_cubic"];

/// Translates a gradual pruning modifier into `prune`.
pub(super) fn gradual(
    draft: &mut Draft,
    timed: &mut Timed,
    select: &Select,
    length: Epochs,
    findings: &mut Findings,
) {
    let sparsity = sparsities(timed, findings);
    let exceptions = exceptions(timed, select, draft, findings);
    let params = timed.fields.named(&["params", "targets"]);
    let selected = match &exceptions {
        Some(list) if !list.is_empty() => every(list, timed, params, findings),
        _ => select.of(params, &mut timed.fields, true, draft, findings),
    };
    let pattern = pattern(timed, findings);
    fits_sparsity(timed, pattern.as_deref(), findings);
    let rank = rank(timed, &exceptions, findings);
    let by = criterion(timed, select, selected.as_ref(), pattern.as_deref(), findings);
    let shape = shape(timed, findings);
    let every = frequency(timed, findings);
    check_shared_fields(timed, findings);
    warn_unreached_end(timed, length, findings);
    let f = &timed.fields;
    let (Some(sparsity), Some(selected), Some(pattern), Some(by), Some(shape), Some(every), false) =
        (sparsity, selected, pattern, by, shape, every, f.broken)
    else {
        return;
    };
    let (from, to) = match &exceptions {
        Some(list) if !list.is_empty() => (sparsity.0, Some(list[0].sparsity.clone())),
        _ => sparsity,
    };
    let Some(to) = to else { return };
    let end = timed.end.as_ref().map_or(length.count.to_string(), epochs);
    let start = timed.start.as_ref().map_or("0".to_owned(), epochs);
    let head = Line::of("prune ", f.modifier.at)
        .and(selected.text.clone(), f.place(params))
        .and(" over ", f.modifier.at)
        .and(format!("{start}.."), timed.start_at())
        .and(format!("{end} epochs"), timed.end_at())
        .and(format!(" every {}", every.0), every.1);
    let ramp = |to: &Number| format!("{} -> {} {shape}", percent(&from), percent(to));
    let mut body = vec![
        by,
        Line::of("sparsity: ", f.place("final_sparsity"))
            .and(ramp(&to), f.place("init_sparsity"))
            .and("", f.place(f.named(&["inter_func", "update_scheduler"]))),
        Line::of(format!("pattern: {pattern}"), f.place(f.named(&["mask_type", "mask_structure"]))),
        Line::of(format!("rank: {rank}"), f.place(f.named(&["global_sparsity", "apply_globally"]))),
    ];
    for exception in exceptions.iter().flatten().skip(1) {
        body.push(Line::of(
            format!("target {}: {}", exception.selected.text, percent(&exception.sparsity)),
            exception.at,
        ));
    }
    draft.add_for(Order::Prune, head, Some(body), selected.names);
}

/// Reads the shape of the sparsity schedule.
fn shape(timed: &mut Timed, findings: &mut Findings) -> Option<&'static str> {
    let f = &mut timed.fields;
    if !f.modifier.untagged {
        return f.choice("inter_func", &SHAPES, "cubic", findings);
    }
    f.dropped("scheduler_args", "the schedulers have no arguments here", findings);
    if let Some((text, at)) =
        f.text("update_scheduler", findings).filter(|(t, _)| !["linear", "cubic"].contains(&t.as_str()))
    {
        f.refuse(
            findings,
            Code::FieldRefused,
            at,
            format!("the scheduler `{text}` has no counterpart"),
            "linear or cubic".into(),
            "use `cubic`, which the paper uses".into(),
        );
        return None;
    }
    f.choice("update_scheduler", &["linear", "cubic"], "cubic", findings)
}

/// Reads the time between pruning steps: its text and where it is written.
fn frequency(timed: &mut Timed, findings: &mut Findings) -> Option<(String, Span)> {
    let field = timed.fields.named(&["update_frequency", "update"]);
    let at = timed.fields.place(field);
    let number = timed.fields.number(field, Conversion::Kept, findings);
    if timed.fields.modifier.untagged && !timed.fields.broken {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "this form of SparseML updates the mask at every step, whatever the value of `update`",
                at,
                number.as_ref().map_or("imported as every step".to_owned(), |n| {
                    format!("imported as every {}", in_epochs(n))
                }),
            )
            .help("set the interval in epochs with `update`; one epoch is often enough"),
        );
    }
    let Some(number) = number else { return (!timed.fields.broken).then(|| ("1 step".to_owned(), at)) };
    if number.value > 0.0 {
        return Some((in_epochs(&number), at));
    }
    if number.value == -1.0 || number.value == 0.0 {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                format!("{} means at every step", number.text),
                at,
                "imported as every step",
            )
            .help("write the epochs between pruning steps, as `update_frequency: 1.0`"),
        );
        return Some(("1 step".into(), at));
    }
    timed.fields.refuse(
        findings,
        Code::FieldRange,
        at,
        format!("`{field}` must be above 0, or -1 for every step"),
        format!("this is {}", number.text),
        "write the epochs between pruning steps".into(),
    );
    None
}

/// Checks `leave_enabled` and the window, which all gradual pruning modifiers have.
fn check_shared_fields(timed: &mut Timed, findings: &mut Findings) {
    if !timed.fields.flag("leave_enabled", true, findings) {
        let at = timed.fields.place("leave_enabled");
        timed.fields.refuse(
            findings,
            Code::FieldRefused,
            at,
            "pruned weights stay zero to the end of the stage here".into(),
            "trains them again".into(),
            "remove `leave_enabled`; in an `.obert` recipe, a later stage without `hold` trains them again"
                .into(),
        );
    }
    if timed.end.is_none() && !timed.fields.broken {
        let at = timed.end_at();
        timed.fields.refuse(
            findings,
            Code::FieldRange,
            at,
            "a sparsity schedule needs an end".into(),
            "no end".into(),
            "write the epoch at which it reaches `final_sparsity`".into(),
        );
    }
    if timed.start.is_none() && !timed.fields.broken {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "with a start of -1, SparseML computes the sparsity as if pruning had started at epoch -1",
                timed.start_at(),
                "SparseML starts above `init_sparsity`; imported with a start at `init_sparsity`",
            )
            .help("write `start_epoch: 0`")
            .fix(timed.fields.value_place(timed.fields.named(&["start_epoch", "start"])), "0"),
        );
    }
}

/// Warns of an end at the end of training, which SparseML never reaches.
fn warn_unreached_end(timed: &Timed, length: Epochs, findings: &mut Findings) {
    if timed.end.as_ref().is_some_and(|e| e.value >= length.count as f64) && !timed.fields.broken {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                format!("SparseML never reaches epoch {}, because its last step is before it", length.count),
                timed.end_at(),
                "SparseML never reaches the final sparsity; here it is reached after the last step",
            )
            .help("set an earlier end, or train longer"),
        );
    }
}

/// Translates a `ConstantPruningModifier` into `hold`.
pub(super) fn constant(
    draft: &mut Draft,
    timed: &mut Timed,
    select: &Select,
    length: Epochs,
    findings: &mut Findings,
) {
    let params = timed.fields.named(&["params", "targets"]);
    let selected = select.of(params, &mut timed.fields, false, draft, findings);
    timed.fields.dropped("update_frequency", "SparseML does not use it", findings);
    timed.fields.dropped("update", "SparseML does not use it", findings);
    let (Some(selected), false) = (selected, timed.fields.broken) else { return };
    let mut head =
        Line::of("hold ", timed.fields.modifier.at).and(selected.text.clone(), timed.fields.place(params));
    head.fields.extend([timed.start_at(), timed.end_at()]);
    if let Some(over) = timed.over(length) {
        head = head.and(over, timed.start_at().to(timed.end_at()));
    }
    draft.add_for(Order::Hold, head, None, selected.names);
}
