//! The learning rate: modifiers that fire over each other become pieces that follow each other.

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::yaml::recipe::numbers::{self, Conversion};
use crate::yaml::recipe::registry::Family;
use crate::yaml::recipe::{Datum, Number};

use super::draft::{Draft, Epochs, Line, Order};
use super::time::{Timed, epochs};

/// Hugging Face's own rate, where a recipe gives none.
const TRAINERS_OWN: &str = "5e-5";
/// More steps of a staircase than this are a mistake.
const MOST_STEPS: f64 = 1000.0;

/// Everything that sets the learning rate.
#[derive(Debug, Default)]
pub(super) struct Rates {
    pieces: Vec<Piece>,
    /// Rates that are set once, and stay until something else sets one.
    sets: Vec<Piece>,
    broken: bool,
}

/// A rate over a window of epochs.
#[derive(Clone, Debug)]
struct Piece {
    start: Number,
    end: Number,
    from: Number,
    to: Number,
    /// The word behind the two rates; empty for a constant.
    shape: &'static str,
    cycle: Option<(Number, Span)>,
    name: Span,
    window: Span,
    rates: Span,
}

impl Rates {
    pub(super) fn read(&mut self, timed: &mut Timed, length: Epochs, findings: &mut Findings) {
        let before = self.pieces.len() + self.sets.len();
        match timed.fields.known.family {
            Family::LrFunction => self.function(timed, findings),
            Family::LrClass => self.class(timed, length, findings),
            _ => self.set(timed, length, findings),
        }
        groups(timed, findings);
        self.broken |= timed.fields.broken || self.pieces.len() + self.sets.len() == before;
    }

    fn function(&mut self, timed: &mut Timed, findings: &mut Findings) {
        let f = &mut timed.fields;
        let shape = f.choice("lr_func", &["linear", "cosine", "cyclic_linear"], "linear", findings);
        let rate = "from 0 to 1";
        let from =
            f.number_in("init_lr", Conversion::Converted, |n| (0.0..=1.0).contains(&n), rate, findings);
        let to = f.number_in("final_lr", Conversion::Converted, |n| (0.0..=1.0).contains(&n), rate, findings);
        let cycle = f.number_in("cycle_epochs", Conversion::Kept, |n| n > 0.0, "above 0", findings);
        let (Some(shape), Some(from), Some(to), false) = (shape, from, to, f.broken) else { return };
        if shape != "cyclic_linear" {
            f.dropped("cycle_epochs", "only cyclic_linear has cycles", findings);
        }
        f.dropped("update_frequency", "SparseML sets the rate at every step whatever it says", findings);
        let Some(end) = timed.end.clone() else {
            let at = timed.end_at();
            timed.fields.refuse(
                findings,
                Code::FieldRange,
                at,
                "a learning rate function needs an end".into(),
                "never ends".into(),
                "write the epoch at which it reaches `final_lr`".into(),
            );
            return;
        };
        if timed.start.is_none() && shape != "linear" {
            findings.push(
                otherwise(
                    "SparseML counts from epoch -1 here",
                    timed.start_at(),
                    "taken as 0",
                    "write `start_epoch: 0`",
                )
                .fix(timed.fields.value_place("start_epoch"), "0"),
            );
        }
        let constant = from.value == to.value && shape != "cosine";
        self.pieces.push(Piece {
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
        });
    }

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
                "remove `end_epoch`; the rate stays until another is set".into(),
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

    /// The stairs of a PyTorch scheduler.
    fn class(&mut self, timed: &mut Timed, length: Epochs, findings: &mut Findings) {
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
        f.dropped("update_frequency", "SparseML does not ask for it", findings);
        f.dropped("constant_logging", "a run logs every rate", findings);
        let (Some(class), Some(init), false) = (class, init, f.broken) else { return };
        let allowed: &[&str] = match class {
            "StepLR" => &["gamma", "step_size"],
            "MultiStepLR" => &["gamma", "milestones"],
            "ExponentialLR" => &["gamma"],
            _ => &["lr_min", "cycle_epochs"],
        };
        let Some(arguments) = keywords(timed, allowed, findings) else { return };
        let start = timed.start.clone().unwrap_or_else(zero);
        let end = timed.end.clone().unwrap_or_else(|| Number::computed(length.count as f64, true));
        let rates = timed.fields.place("init_lr").to(timed.fields.place("lr_kwargs"));
        let (name, window) = (timed.fields.modifier.at, timed.start_at());
        if class == "CosineAnnealingWarmRestarts" {
            self.pieces.push(Piece {
                start,
                end,
                from: init,
                to: arguments[0].first().cloned().unwrap_or_else(zero),
                shape: "cosine",
                cycle: arguments[1].first().cloned().map(|c| (c, rates)),
                name,
                window,
                rates,
            });
            return;
        }
        let one = || Number::computed(1.0, true);
        let gamma = arguments[0].first().cloned().unwrap_or_else(one);
        let steps: Vec<Number> = match class {
            "MultiStepLR" => arguments[1].clone(),
            _ => {
                let size =
                    if class == "StepLR" { arguments[1].first().cloned().unwrap_or_else(one) } else { one() };
                let count = ((end.value - start.value) / size.value).ceil();
                if size.value <= 0.0 || count > MOST_STEPS {
                    let at = timed.fields.place("lr_kwargs");
                    timed.fields.refuse(
                        findings,
                        Code::FieldRange,
                        at,
                        "too many steps of the learning rate".into(),
                        "too small a step".into(),
                        "give a larger `step_size`".into(),
                    );
                    return;
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
                "milestones rise and lie between start and end".into(),
                "not all of these do".into(),
                "remove those outside".into(),
            );
            return;
        }
        let mut at = start;
        let mut rate = init;
        for next in steps.into_iter().chain([end]) {
            let lower = rate.times(&gamma);
            self.pieces.push(constant(at, next.clone(), rate, name, window, rates));
            (at, rate) = (next, lower);
        }
    }

    /// Fills the gaps and writes the statement.
    pub(super) fn write(mut self, draft: &mut Draft, length: Epochs, findings: &mut Findings) {
        if self.broken || length.count == 0 {
            return;
        }
        self.pieces.sort_by(|a, b| {
            a.start.value.total_cmp(&b.start.value).then(a.end.value.total_cmp(&b.end.value))
        });
        self.sets.sort_by(|a, b| a.start.value.total_cmp(&b.start.value));
        if self.overlap(findings) {
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
                findings.push(otherwise(
                    "this rate is overwritten at the very next step",
                    set.name,
                    "no effect",
                    "remove it, or end the other learning rate before",
                ));
            }
        }
        let lines = all.iter().map(line).collect();
        draft.add(Order::Rates, Line::of("lr", all.first().map_or(draft.origin, |p| p.name)), Some(lines));
    }

    /// Two functions at once: SparseML lets the one with the later end win.
    fn overlap(&self, findings: &mut Findings) -> bool {
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
                        format!("two learning rates from epoch {} to {}", epochs(&b.start), epochs(if b.end.value < a.end.value { &b.end } else { &a.end })),
                        b.window,
                        "the second starts here",
                    )
                    .and_at(a.window, format!("the first goes on to epoch {}", epochs(&a.end)))
                    .help(format!("let one start where the other ends; SparseML runs both, and {winner}, which ends later, wins")),
                );
                found = true;
            }
        }
        found
    }

    /// What the rate is where no function is at work.
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
                        Some(_) => {
                            "SparseML jumps back to `init_lr` at the end of the cycles, and stays there"
                        }
                        None => "SparseML keeps the last rate after the end of this one",
                    };
                    findings.push(otherwise(
                        what,
                        last.name,
                        format!("{} is kept up to epoch {}", last.to.text, epochs(&until)),
                        "let the learning rate go on to the end of the run",
                    ));
                    constant(at, until.clone(), last.to.clone(), last.name, last.window, last.rates)
                }
                (None, None) => self.assumed(at, &until, end, draft, findings),
            };
            all.push(piece);
            at = until;
        }
    }

    fn assumed(&self, at: Number, until: &Number, end: f64, draft: &Draft, findings: &mut Findings) -> Piece {
        let rate = Number { value: 5e-5, whole: false, text: TRAINERS_OWN.into() };
        let none = self.sets.is_empty() && end >= draft.length.count as f64;
        let first = self.sets.first().map_or(draft.origin, |s| s.name);
        let (message, label) = if none {
            (
                "no modifier sets a learning rate: in SparseML the trainer's own is used".to_owned(),
                "5e-5 -> 0 is assumed, Hugging Face's default",
            )
        } else {
            (
                format!(
                    "no modifier sets a learning rate before epoch {}: in SparseML the optimizer's own is used",
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

/// The arguments of a scheduler, each as one or more numbers, in the order of `allowed`.
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
                format!("this learning rate has no argument `{key}`"),
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
            "not in here".into(),
            format!("add `{missing}:` and its value"),
        );
    }
    (!timed.fields.broken).then_some(arguments)
}

fn line(piece: &Piece) -> Line {
    let rates = if piece.shape.is_empty() {
        piece.from.text.clone()
    } else {
        format!("{} -> {} {}", piece.from.text, piece.to.text, piece.shape)
    };
    let line = Line::of(format!("{}..{} epochs: ", epochs(&piece.start), epochs(&piece.end)), piece.window)
        .and(rates, piece.rates);
    match &piece.cycle {
        Some((cycle, at)) => line.and(format!(" repeating {} epochs", epochs(cycle)), *at),
        None => line,
    }
}

fn constant(start: Number, end: Number, rate: Number, name: Span, window: Span, rates: Span) -> Piece {
    Piece { start, end, from: rate.clone(), to: rate, shape: "", cycle: None, name, window, rates }
}

fn zero() -> Number {
    Number::computed(0.0, true)
}

fn otherwise(message: &str, at: Span, label: impl Into<String>, help: &str) -> Diagnostic {
    Diagnostic::warning(Code::OtherwiseInSparseml, message, at, label).help(help)
}

/// Groups of parameters with a rate of their own.
fn groups(timed: &Timed, findings: &mut Findings) {
    let Some(value) = timed.fields.value("param_groups") else { return };
    if matches!(value.datum(), Datum::List(items) if items.is_empty()) {
        timed.fields.dropped("param_groups", "an empty list means all groups", findings);
        return;
    }
    value.noted();
    findings.push(
        Diagnostic::warning(
            Code::OtherwiseInSparseml,
            "the optimizer's groups have no numbers here",
            timed.fields.place("param_groups"),
            "the rate is set for all parameters",
        )
        .help("give some parameters another rate with a line `factor PARAMS: 0.1` in `lr`"),
    );
}
