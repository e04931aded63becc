//! Reads a `LearningRateFunctionModifier`: a linear, cosine or cyclic linear rate.

use crate::diag::{Code, Findings};
use crate::yaml::import::time::Timed;
use crate::yaml::recipe::Number;
use crate::yaml::recipe::numbers::Conversion;

use super::piece::{Piece, differs, zero};

/// Reads the piece of one modifier. `None` where a diagnostic was made.
pub(super) fn function(timed: &mut Timed, findings: &mut Findings) -> Option<Piece> {
    let f = &mut timed.fields;
    let shape = f.choice("lr_func", &["linear", "cosine", "cyclic_linear"], "linear", findings);
    let rate = "from 0 to 1";
    let from = f.number_in("init_lr", Conversion::Converted, |n| (0.0..=1.0).contains(&n), rate, findings);
    let to = f.number_in("final_lr", Conversion::Converted, |n| (0.0..=1.0).contains(&n), rate, findings);
    let cycle = f.number_in("cycle_epochs", Conversion::Kept, |n| n > 0.0, "above 0", findings);
    let (Some(shape), Some(from), Some(to), false) = (shape, from, to, f.broken) else { return None };
    if shape != "cyclic_linear" {
        f.dropped("cycle_epochs", "only `cyclic_linear` has cycles", findings);
    }
    f.dropped("update_frequency", "SparseML updates the rate at every step whatever its value", findings);
    let Some(end) = timed.end.clone() else {
        let at = timed.end_at();
        timed.fields.refuse(
            findings,
            Code::FieldRange,
            at,
            "a learning rate function needs an end".into(),
            "no end".into(),
            "write the epoch at which it reaches `final_lr`".into(),
        );
        return None;
    };
    if timed.start.is_none() && shape != "linear" {
        findings.push(
            differs(
                "SparseML starts the curve at epoch -1 here",
                timed.start_at(),
                "imported as 0",
                "write `start_epoch: 0`",
            )
            .fix(timed.fields.value_place("start_epoch"), "0"),
        );
    }
    let constant = from.value == to.value && shape != "cosine";
    Some(Piece {
        start: timed.start.clone().unwrap_or_else(zero),
        end,
        rates: timed.fields.place("init_lr").to(timed.fields.place("final_lr")),
        shape: match shape {
            _ if constant => "",
            "cosine" => "cosine",
            _ => "linear",
        },
        cycle: (shape == "cyclic_linear" && !constant).then(|| {
            (cycle.unwrap_or_else(|| Number::computed(1.0, true)), timed.fields.place("cycle_epochs"))
        }),
        from,
        to,
        name: timed.fields.modifier.at,
        window: timed.start_at(),
    })
}
