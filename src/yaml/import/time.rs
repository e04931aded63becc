//! Reads the window of each modifier, and computes the length of the recipe.

use crate::diag::{Code, Diagnostic, Findings, Span, agreeing, counted};
use crate::yaml::recipe::numbers::Conversion;
use crate::yaml::recipe::registry::Family;
use crate::yaml::recipe::{Fields, Number};

use super::context::Context;
use super::draft::Epochs;

/// A modifier with its window in epochs.
#[derive(Debug)]
pub(super) struct Timed<'a> {
    pub(super) fields: Fields<'a>,
    /// `None` for the start of training, which SparseML writes as -1.
    pub(super) start: Option<Number>,
    /// `None` for the end of training, which SparseML writes as -1.
    pub(super) end: Option<Number>,
}

impl Timed<'_> {
    /// Where the start is written.
    pub(super) fn start_at(&self) -> Span {
        self.fields.place(self.fields.named(&["start_epoch", "start"]))
    }

    /// Where the end is written.
    pub(super) fn end_at(&self) -> Span {
        self.fields.place(self.fields.named(&["end_epoch", "end"]))
    }

    /// The start in epochs.
    pub(super) fn from(&self) -> f64 {
        self.start.as_ref().map_or(0.0, |n| n.value)
    }

    /// The end in epochs, in a recipe of this length.
    pub(super) fn to(&self, length: Epochs) -> f64 {
        self.end.as_ref().map_or(length.count as f64, |n| n.value)
    }

    /// The window as ` over 2..26 epochs`; `None` for the whole recipe.
    pub(super) fn over(&self, length: Epochs) -> Option<String> {
        let whole = self.from() == 0.0 && self.to(length) >= length.count as f64;
        (!whole).then(|| {
            let end = self.end.as_ref().map_or(length.count.to_string(), epochs);
            format!(" over {}..{end} epochs", self.start.as_ref().map_or("0".into(), epochs))
        })
    }
}

/// A number of epochs with its unit, such as `1 epoch`.
pub(super) fn in_epochs(number: &Number) -> String {
    format!("{} {}", epochs(number), agreeing(&number.value, "epoch", "epochs"))
}

/// A number of epochs as a recipe writes it, without an exponent.
pub(super) fn epochs(number: &Number) -> String {
    if number.text.contains('e') { format!("{}", number.value) } else { number.text.clone() }
}

/// Reads the windows of all modifiers.
pub(super) fn windows<'a>(all: Vec<Fields<'a>>, findings: &mut Findings) -> Vec<Timed<'a>> {
    all.into_iter().map(|fields| window(fields, findings)).collect()
}

/// Reads the window of a modifier, and reports values that SparseML cannot use.
fn window<'a>(mut fields: Fields<'a>, findings: &mut Findings) -> Timed<'a> {
    let start_field = fields.named(&["start_epoch", "start"]);
    let end_field = fields.named(&["end_epoch", "end"]);
    let name = fields.known.name;
    let start = fields.number(start_field, Conversion::Converted, findings);
    if let Some(start) = start.as_ref().filter(|s| s.value < 0.0 && s.value != -1.0) {
        let at = fields.value_place(start_field);
        let label = if start.value > -1.0 { "SparseML never starts it" } else { "below -1" };
        fields.refuse(
            findings,
            Code::FieldRange,
            at,
            format!("`{start_field}` must be -1, or 0 and above"),
            label.into(),
            "write 0, or -1 for the start of training".into(),
        );
    }
    let trains = !matches!(fields.known.family, Family::Quantization);
    if fields.modifier.untagged && trains && start.is_none() && !fields.broken {
        let message = format!("`{name}` needs a `start`");
        let at = fields.modifier.at;
        let error =
            Diagnostic::error(Code::MissingField, message, at, "SparseML never applies it without `start`")
                .help("add `start: 0`");
        let error = fields.modifier.suggest_field(error, "start: 0");
        fields.report(findings, error);
    }
    let end = fields.number(end_field, Conversion::Converted, findings);
    if end.as_ref().is_some_and(|e| e.value < 0.0 && e.value != -1.0) {
        let at = fields.value_place(end_field);
        fields.refuse(
            findings,
            Code::FieldRange,
            at,
            format!("`{end_field}` must be -1, or 0 and above"),
            "below 0".into(),
            "write -1 for the end of training".into(),
        );
    }
    let start = start.filter(|s| s.value >= 0.0);
    let end = end.filter(|e| e.value >= 0.0);
    if let (false, Some(end)) = (fields.broken, &end) {
        let from = start.as_ref().map_or(0.0, |s| s.value);
        let must_last = matches!(
            fields.known.family,
            Family::LrFunction | Family::Gm | Family::Movement | Family::Obs | Family::Magnitude { .. }
        );
        if end.value < from || (must_last && end.value == from) {
            let at = fields.value_place(end_field);
            let from_at = fields.value_place(start_field);
            fields.broken = true;
            let message = format!("`{name}` ends at its start or before");
            let label = format!("ends at {}", end.text);
            findings.push(
                Diagnostic::error(Code::FieldRange, message, at, label)
                    .and_at(from_at, "starts here")
                    .help("set a later end; SparseML divides by the length of this window"),
            );
        }
    }
    Timed { fields, start, end }
}

/// Computes the length of training as SparseML does: the latest start or end of all modifiers, rounded up to whole
/// epochs. 0 for post-training quantization. `None` where an error was made.
pub(super) fn length(timed: &[Timed], context: &Context, findings: &mut Findings) -> Option<Epochs> {
    const MAX: f64 = 1e6;
    let mut longest: Option<(f64, Span)> = None;
    let mut declared: Option<(f64, Span)> = None;
    for modifier in timed {
        let ends = modifier.end.as_ref().map(|n| (n.value, modifier.end_at()));
        let starts = modifier.start.as_ref().map(|n| (n.value, modifier.start_at()));
        for (value, at) in ends.into_iter().chain(starts) {
            if longest.is_none_or(|(most, _)| value.ceil() > most) {
                longest = Some((value.ceil(), at));
            }
        }
        if modifier.fields.known.family == Family::EpochRange {
            check_range(modifier, findings);
            declared = later(declared, ends);
        }
    }
    let Some((count, at)) = longest.filter(|(count, _)| *count > 0.0) else {
        let families: Vec<Family> = timed.iter().map(|t| t.fields.known.family).collect();
        let once = |f: &Family| matches!(f, Family::Quantization | Family::Logging | Family::LayerPruning);
        if families.contains(&Family::Quantization) && families.iter().all(once) {
            // Post-training quantization: nothing is trained.
            return Some(Epochs { count: 0, at: context.first });
        }
        if !findings.has_errors() {
            findings.push(
                Diagnostic::error(
                    Code::MissingField,
                    "the recipe has no length",
                    context.first,
                    "no modifier has an end",
                )
                .help("add `- !EpochRangeModifier` with `start_epoch: 0` and `end_epoch: 30`"),
            );
        }
        return None;
    };
    if count > MAX {
        findings.push(
            Diagnostic::error(Code::FieldRange, format!("more than {MAX} epochs"), at, "too long")
                .help("write a smaller number of epochs"),
        );
        return None;
    }
    if let Some((end, declared_at)) = declared.filter(|(end, _)| *end < count) {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                format!(
                    "training lasts {}, not {end}, because an EpochRangeModifier never shortens it",
                    counted(count, "epoch", "epochs")
                ),
                declared_at,
                format!("{end} here"),
            )
            .and_at(at, "this ends later")
            .help("SparseML trains up to the latest end of all modifiers, in whole epochs, and so does the import"),
        );
    }
    Some(Epochs { count: count as u64, at })
}

/// Reports a modifier that starts at the end of training or later.
pub(super) fn refuse_late_start(modifier: &mut Timed, length: Epochs, findings: &mut Findings) {
    let start = modifier.from();
    if start > 0.0 && start >= length.count as f64 && !modifier.fields.broken {
        modifier.fields.broken = true;
        let message = format!("this starts at epoch {start}, after the end of training");
        let diagnostic = Diagnostic::error(Code::FieldRange, message, modifier.start_at(), "it never starts");
        findings.push(
            diagnostic
                .and_at(length.at, format!("training lasts {}", counted(length.count, "epoch", "epochs")))
                .help("set an earlier start, or a longer training with an EpochRangeModifier"),
        );
    }
}

/// The later of two times.
fn later(a: Option<(f64, Span)>, b: Option<(f64, Span)>) -> Option<(f64, Span)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 > a.0 { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// Warns of an `EpochRangeModifier` that starts after epoch 0, which has no effect in SparseML.
fn check_range(modifier: &Timed, findings: &mut Findings) {
    if modifier.from() > 0.0 {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "the start of an EpochRangeModifier has no effect",
                modifier.start_at(),
                "no effect",
            )
            .help("write `start_epoch: 0`; SparseML always starts training at epoch 0")
            .fix(modifier.fields.value_place("start_epoch"), "0"),
        );
    }
}
