//! One piece of the learning-rate schedule.

use crate::diag::{Code, Diagnostic, Span};
use crate::yaml::import::draft::Line;
use crate::yaml::import::time::{epochs, in_epochs};
use crate::yaml::recipe::Number;

/// The learning rate over a window of epochs.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) start: Number,
    pub(super) end: Number,
    pub(super) from: Number,
    pub(super) to: Number,
    /// The shape as an `.obert` recipe writes it; empty for a constant rate.
    pub(super) shape: &'static str,
    /// The length of a cycle in epochs, and where it is written.
    pub(super) cycle: Option<(Number, Span)>,
    /// The name of the modifier.
    pub(super) name: Span,
    /// Where the window is written.
    pub(super) window: Span,
    /// Where the rates are written.
    pub(super) rates: Span,
}

impl Piece {
    /// The line of `lr` for this piece.
    pub(super) fn line(&self) -> Line {
        let rates = if self.shape.is_empty() {
            self.from.text.clone()
        } else {
            format!("{} -> {} {}", self.from.text, self.to.text, self.shape)
        };
        let line = Line::of(format!("{}..{} epochs: ", epochs(&self.start), epochs(&self.end)), self.window)
            .and(rates, self.rates);
        match &self.cycle {
            Some((cycle, at)) => line.and(format!(" repeating {}", in_epochs(cycle)), *at),
            None => line,
        }
    }
}

/// A constant rate.
pub(super) fn constant(
    start: Number,
    end: Number,
    rate: Number,
    name: Span,
    window: Span,
    rates: Span,
) -> Piece {
    Piece { start, end, from: rate.clone(), to: rate, shape: "", cycle: None, name, window, rates }
}

pub(super) fn zero() -> Number {
    Number::computed(0.0, true)
}

/// A warning that SparseML does something else than the recipe seems to say.
pub(super) fn differs(message: &str, at: Span, label: impl Into<String>, help: &str) -> Diagnostic {
    Diagnostic::warning(Code::OtherwiseInSparseml, message, at, label).help(help)
}
