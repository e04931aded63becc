//! Translates the learning-rate modifiers, whose windows may overlap, into one schedule.
//!
//! [`function`] and [`scheduler`] read the modifiers as [`piece`]s; [`timeline`] joins these.

mod function;
mod piece;
mod scheduler;
mod timeline;

use crate::diag::{Code, Diagnostic, Findings};
use crate::yaml::recipe::numbers::Conversion;
use crate::yaml::recipe::registry::Family;
use crate::yaml::recipe::{Datum, Number};

use super::draft::{Draft, Epochs};
use super::time::Timed;
use piece::{Piece, constant, zero};
use timeline::Timeline;

/// The learning-rate modifiers of a recipe.
#[derive(Debug, Default)]
pub(super) struct Rates {
    pieces: Vec<Piece>,
    /// Rates that are set once and hold until another modifier sets one.
    sets: Vec<Piece>,
    /// Whether an error was reported.
    broken: bool,
}

impl Rates {
    /// Reads a modifier of one of the three families that set the learning rate.
    pub(super) fn read(&mut self, timed: &mut Timed, length: Epochs, findings: &mut Findings) {
        let before = self.pieces.len() + self.sets.len();
        match timed.fields.known.family {
            Family::LrFunction => self.pieces.extend(function::function(timed, findings)),
            Family::LrClass => self.pieces.extend(scheduler::scheduler(timed, length, findings)),
            _ => self.set(timed, length, findings),
        }
        param_groups(timed, findings);
        self.broken |= timed.fields.broken || self.pieces.len() + self.sets.len() == before;
    }

    /// Reads a `SetLearningRateModifier`.
    fn set(&mut self, timed: &mut Timed, length: Epochs, findings: &mut Findings) {
        let f = &mut timed.fields;
        let rate = f.number_in(
            "learning_rate",
            Conversion::Converted,
            |n| n > 0.0 && n <= 1.0,
            "above 0 and at most 1",
            findings,
        );
        f.dropped("constant_logging", "a run logs every rate", findings);
        if timed.end.is_some() {
            let at = timed.end_at();
            timed.fields.refuse(
                findings,
                Code::FieldRange,
                at,
                "a SetLearningRateModifier has no end".into(),
                "must be -1".into(),
                "remove `end_epoch`; the rate holds until another is set".into(),
            );
        }
        let (Some(rate), false) = (rate, timed.fields.broken) else { return };
        self.sets.push(constant(
            timed.start.clone().unwrap_or_else(zero),
            Number::computed(length.count as f64, true),
            rate,
            timed.fields.modifier.at,
            timed.start_at(),
            timed.fields.place("learning_rate"),
        ));
    }

    /// Writes the `lr` statement, unless a modifier could not be read or nothing is trained.
    pub(super) fn write(self, draft: &mut Draft, length: Epochs, findings: &mut Findings) {
        if !self.broken && length.count > 0 {
            Timeline { pieces: self.pieces, sets: self.sets }.write(draft, length, findings);
        }
    }
}

/// Reports `param_groups`: parameter groups of the optimizer, which have no numbers here.
fn param_groups(timed: &Timed, findings: &mut Findings) {
    let Some(value) = timed.fields.value("param_groups") else { return };
    if matches!(value.datum(), Datum::List(items) if items.is_empty()) {
        timed.fields.dropped("param_groups", "an empty list means all groups", findings);
        return;
    }
    value.noted();
    findings.push(
        Diagnostic::warning(
            Code::OtherwiseInSparseml,
            "the optimizer's parameter groups have no numbers here",
            timed.fields.place("param_groups"),
            "the rate is set for all parameters",
        )
        .help("scale the rate of some parameters with a line `factor PARAMS: 0.1` in `lr`"),
    );
}
