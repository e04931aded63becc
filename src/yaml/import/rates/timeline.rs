//! Joins the pieces of all modifiers into a schedule without gaps, and writes the `lr` statement.

use crate::diag::{Code, Diagnostic, Findings};
use crate::yaml::import::draft::{Draft, Epochs, Line, Order};
use crate::yaml::import::time::epochs;
use crate::yaml::recipe::Number;

use super::piece::{Piece, constant, differs, zero};

/// The default learning rate of Hugging Face's trainer.
const TRAINER_DEFAULT: &str = "5e-5";

/// All pieces of a recipe.
pub(super) struct Timeline {
    pub(super) pieces: Vec<Piece>,
    /// Rates that are set once and hold until another modifier sets one.
    pub(super) sets: Vec<Piece>,
}

impl Timeline {
    /// Fills the gaps and writes the statement. Overlapping pieces are an error.
    pub(super) fn write(mut self, draft: &mut Draft, length: Epochs, findings: &mut Findings) {
        self.pieces.sort_by(|a, b| {
            a.start.value.total_cmp(&b.start.value).then(a.end.value.total_cmp(&b.end.value))
        });
        self.sets.sort_by(|a, b| a.start.value.total_cmp(&b.start.value));
        if self.report_overlap(findings) {
            return;
        }
        let mut all: Vec<Piece> = Vec::new();
        let mut at = zero();
        for piece in std::mem::take(&mut self.pieces) {
            self.fill(&mut all, at, &piece.start, draft, findings);
            at = piece.end.clone();
            all.push(piece);
        }
        let end = Number::computed(length.count as f64, true);
        self.fill(&mut all, at, &end, draft, findings);
        for set in &self.sets {
            if !all.iter().any(|p| p.rates == set.rates) {
                findings.push(differs(
                    "another modifier overwrites this rate at the next step",
                    set.name,
                    "no effect",
                    "remove it, or end the other learning rate before it",
                ));
            }
        }
        let lines = all.iter().map(Piece::line).collect();
        draft.add(Order::Rates, Line::of("lr", all.first().map_or(draft.origin, |p| p.name)), Some(lines));
    }

    /// Reports pieces that overlap; in SparseML the one with the later end wins. Returns whether there are any.
    fn report_overlap(&self, findings: &mut Findings) -> bool {
        let mut found = false;
        for (i, a) in self.pieces.iter().enumerate() {
            for b in &self.pieces[i + 1..] {
                if a.name == b.name || b.start.value >= a.end.value {
                    continue;
                }
                let winner = if b.end.value >= a.end.value { "the second" } else { "the first" };
                findings.push(
                    Diagnostic::error(
                        Code::RatesOverlap,
                        format!(
                            "two learning rates from epoch {} to {}",
                            epochs(&b.start),
                            epochs(if b.end.value < a.end.value { &b.end } else { &a.end })
                        ),
                        b.window,
                        "the second starts here",
                    )
                    .and_at(a.window, format!("the first ends at epoch {}", epochs(&a.end)))
                    .help(format!(
                        "let one start where the other ends; in SparseML {winner} wins, because it ends later"
                    )),
                );
                found = true;
            }
        }
        found
    }

    /// Adds pieces from `from` to `to`, where no piece of the recipe is: the rate that was set last, or the
    /// trainer's default.
    fn fill(&self, all: &mut Vec<Piece>, from: Number, to: &Number, draft: &Draft, findings: &mut Findings) {
        let (mut at, end) = (from, to.value);
        if at.value >= end {
            return;
        }
        while at.value < end {
            let set = self.sets.iter().rfind(|s| s.start.value <= at.value);
            let next = self.sets.iter().find(|s| s.start.value > at.value && s.start.value < end);
            let until = next.map_or(to, |n| &n.start).clone();
            let last = all.last();
            let later =
                set.filter(|s| last.is_none_or(|l| s.start.value >= l.end.value || s.rates == l.rates));
            let piece = match (later, last) {
                (Some(set), _) => Piece { start: at, end: until.clone(), ..set.clone() },
                (None, Some(last)) => {
                    let what = match last.cycle {
                        Some(_) => "SparseML returns to `init_lr` after the last cycle, and keeps it",
                        None => "SparseML keeps the last rate after the end of this modifier",
                    };
                    findings.push(differs(
                        what,
                        last.name,
                        format!("{} is kept up to epoch {}", last.to.text, epochs(&until)),
                        "set the learning rate up to the end of the run",
                    ));
                    constant(at, until.clone(), last.to.clone(), last.name, last.window, last.rates)
                }
                (None, None) => self.trainer_default(at, &until, end, draft, findings),
            };
            all.push(piece);
            at = until;
        }
    }

    /// The default rate of the trainer, for a gap before any modifier sets a rate.
    fn trainer_default(
        &self,
        at: Number,
        until: &Number,
        end: f64,
        draft: &Draft,
        findings: &mut Findings,
    ) -> Piece {
        let rate = Number { value: 5e-5, whole: false, text: TRAINER_DEFAULT.into() };
        let none = self.sets.is_empty() && end >= draft.length.count as f64;
        let first = self.sets.first().map_or(draft.origin, |s| s.name);
        let (message, label) = if none {
            (
                "no modifier sets a learning rate, so that SparseML trains with the trainer's".to_owned(),
                "5e-5 -> 0 is assumed, Hugging Face's default",
            )
        } else {
            (
                format!(
                    "no modifier sets a learning rate before epoch {}, so that SparseML trains with the optimizer's",
                    epochs(until)
                ),
                "5e-5 is assumed, Hugging Face's default",
            )
        };
        findings.push(
            Diagnostic::warning(Code::Assumed, message, first, label)
                .help("add a LearningRateFunctionModifier, or edit `lr` in the imported recipe"),
        );
        let mut piece = constant(at, until.clone(), rate, first, first, first);
        if none {
            piece.to = zero();
            piece.shape = "linear";
        }
        piece
    }
}
