//! Reads a `LearningRateModifier`: the schedulers `StepLR`, `MultiStepLR`, `ExponentialLR` and
//! `CosineAnnealingWarmRestarts` of PyTorch, as pieces.

use crate::diag::{Code, Findings};
use crate::yaml::import::draft::Epochs;
use crate::yaml::import::time::Timed;
use crate::yaml::recipe::numbers::{self, Conversion};
use crate::yaml::recipe::{Datum, Number};

use super::piece::{Piece, constant, zero};

/// The most steps of a scheduler; more are a mistake in `step_size`.
const MAX_STEPS: f64 = 1000.0;

/// Reads the pieces of one modifier; none where a diagnostic was made.
pub(super) fn scheduler(timed: &mut Timed, length: Epochs, findings: &mut Findings) -> Vec<Piece> {
    let f = &mut timed.fields;
    let classes = ["StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingWarmRestarts"];
    let class = f.choice("lr_class", &classes, "StepLR", findings);
    let init = f.number_in(
        "init_lr",
        Conversion::Converted,
        |n| n > 0.0 && n <= 1.0,
        "above 0 and at most 1",
        findings,
    );
    f.dropped("update_frequency", "SparseML does not use it", findings);
    f.dropped("constant_logging", "a run logs every rate", findings);
    let (Some(class), Some(init), false) = (class, init, f.broken) else { return Vec::new() };
    let allowed: &[&str] = match class {
        "StepLR" => &["gamma", "step_size"],
        "MultiStepLR" => &["gamma", "milestones"],
        "ExponentialLR" => &["gamma"],
        _ => &["lr_min", "cycle_epochs"],
    };
    let Some(arguments) = keywords(timed, allowed, findings) else { return Vec::new() };
    let start = timed.start.clone().unwrap_or_else(zero);
    let end = timed.end.clone().unwrap_or_else(|| Number::computed(length.count as f64, true));
    let rates = timed.fields.place("init_lr").to(timed.fields.place("lr_kwargs"));
    let (name, window) = (timed.fields.modifier.at, timed.start_at());
    if class == "CosineAnnealingWarmRestarts" {
        return vec![Piece {
            start,
            end,
            from: init,
            to: arguments[0].first().cloned().unwrap_or_else(zero),
            shape: "cosine",
            cycle: arguments[1].first().cloned().map(|c| (c, rates)),
            name,
            window,
            rates,
        }];
    }
    let one = || Number::computed(1.0, true);
    let gamma = arguments[0].first().cloned().unwrap_or_else(one);
    let steps: Vec<Number> = match class {
        "MultiStepLR" => arguments[1].clone(),
        _ => {
            let size =
                if class == "StepLR" { arguments[1].first().cloned().unwrap_or_else(one) } else { one() };
            let count = ((end.value - start.value) / size.value).ceil();
            if size.value <= 0.0 || count > MAX_STEPS {
                let at = timed.fields.place("lr_kwargs");
                timed.fields.refuse(
                    findings,
                    Code::FieldRange,
                    at,
                    format!("more than {MAX_STEPS} steps of the learning rate"),
                    "`step_size` is too small".into(),
                    "give a larger `step_size`".into(),
                );
                return Vec::new();
            }
            let after = |i: usize| start.plus(&size.times(&Number::computed(i as f64, true)));
            (1..count as usize).map(after).collect()
        }
    };
    let outside = |s: &Number| s.value <= start.value || s.value >= end.value;
    if steps.iter().any(outside) || !steps.is_sorted_by(|a, b| a.value <= b.value) {
        let at = timed.fields.place("lr_kwargs");
        timed.fields.refuse(
            findings,
            Code::FieldRange,
            at,
            "milestones increase and are between start and end".into(),
            "not all of these do".into(),
            "remove those outside the window".into(),
        );
        return Vec::new();
    }
    let mut pieces = Vec::new();
    let mut at = start;
    let mut rate = init;
    for next in steps.into_iter().chain([end]) {
        let lower = rate.times(&gamma);
        pieces.push(constant(at, next.clone(), rate, name, window, rates));
        (at, rate) = (next, lower);
    }
    pieces
}

/// Reads the arguments of a scheduler in `lr_kwargs`, each as one or more numbers, in the order of `allowed`.
fn keywords(timed: &mut Timed, allowed: &[&str], findings: &mut Findings) -> Option<Vec<Vec<Number>>> {
    let value = timed.fields.value("lr_kwargs")?.clone();
    let Datum::Map(entries) = value.datum() else {
        timed.fields.refuse(
            findings,
            Code::FieldType,
            value.span,
            "`lr_kwargs` is a mapping".into(),
            "here".into(),
            format!("as `{{{}: …}}`", allowed.join(": …, ")),
        );
        return None;
    };
    let mut arguments = vec![Vec::new(); allowed.len()];
    for (key, at, value) in entries {
        let Some(place) = allowed.iter().position(|a| a == key) else {
            let help = format!("it takes {}", allowed.join(" and "));
            timed.fields.refuse(
                findings,
                Code::UnknownField,
                *at,
                format!("this scheduler has no argument `{key}`"),
                "unknown".into(),
                help,
            );
            continue;
        };
        let items = match value.datum() {
            Datum::List(items) => items.clone(),
            _ => vec![value.clone()],
        };
        for item in &items {
            match numbers::number(item, key, Conversion::Kept, findings) {
                Some(number) => arguments[place].push(number),
                None => timed.fields.broken = true,
            }
        }
    }
    if let Some(missing) = allowed.iter().zip(&arguments).find(|(_, a)| a.is_empty()).map(|(n, _)| *n)
        && !timed.fields.broken
    {
        timed.fields.refuse(
            findings,
            Code::MissingField,
            value.span,
            format!("`lr_kwargs` needs `{missing}`"),
            "not given".into(),
            format!("add `{missing}:` and its value"),
        );
    }
    (!timed.fields.broken).then_some(arguments)
}
