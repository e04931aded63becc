//! When each modifier is at work, and how long the recipe is.

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::yaml::recipe::numbers::Conversion;
use crate::yaml::recipe::registry::Family;
use crate::yaml::recipe::{Fields, Number};

use super::context::Context;
use super::draft::Epochs;

/// A modifier with its times.
#[derive(Debug)]
pub(super) struct Timed<'a> {
    pub(super) fields: Fields<'a>,
    /// `None`: from the very beginning, which SparseML writes as -1.
    pub(super) start: Option<Number>,
    /// `None`: it never ends, which SparseML writes as -1.
    pub(super) end: Option<Number>,
}

impl Timed<'_> {
    /// Where the times are written.
    pub(super) fn start_at(&self) -> Span {
        self.fields.place(self.fields.named(&["start_epoch", "start"]))
    }

    /// The same for the end.
    pub(super) fn end_at(&self) -> Span {
        self.fields.place(self.fields.named(&["end_epoch", "end"]))
    }

    /// The first instant in epochs.
    pub(super) fn from(&self) -> f64 {
        self.start.as_ref().map_or(0.0, |n| n.value)
    }

    /// The last instant in epochs, of a recipe of this length.
    pub(super) fn to(&self, length: Epochs) -> f64 {
        self.end.as_ref().map_or(length.count as f64, |n| n.value)
    }

    /// ` over 2..26 epochs`, or nothing for the whole recipe.
    pub(super) fn over(&self, length: Epochs) -> Option<String> {
        let whole = self.from() == 0.0 && self.to(length) >= length.count as f64;
        (!whole).then(|| {
            let end = self.end.as_ref().map_or(length.count.to_string(), epochs);
            format!(" over {}..{end} epochs", self.start.as_ref().map_or("0".into(), epochs))
        })
    }
}

/// A number of epochs as a person writes it.
pub(super) fn epochs(number: &Number) -> String {
    if number.text.contains('e') { format!("{}", number.value) } else { number.text.clone() }
}

/// Reads the times of all modifiers.
pub(super) fn windows<'a>(all: Vec<Fields<'a>>, findings: &mut Findings) -> Vec<Timed<'a>> {
    all.into_iter().map(|fields| window(fields, findings)).collect()
}

fn window<'a>(mut fields: Fields<'a>, findings: &mut Findings) -> Timed<'a> {
    let start_field = fields.named(&["start_epoch", "start"]);
    let end_field = fields.named(&["end_epoch", "end"]);
    let name = fields.known.name;
    let start = fields.number(start_field, Conversion::Converted, findings);
    if let Some(start) = start.as_ref().filter(|s| s.value < 0.0 && s.value != -1.0) {
        let at = fields.value_place(start_field);
        let label = if start.value > -1.0 { "in SparseML it then never starts" } else { "below -1" };
        fields.refuse(
            findings,
            Code::FieldRange,
            at,
            format!("`{start_field}` must be -1, or 0 and above"),
            label.into(),
            "write 0, or -1 for the very beginning".into(),
        );
    }
    let trains = !matches!(fields.known.family, Family::Quantization);
    if fields.modifier.untagged && trains && start.is_none() && !fields.broken {
        let message = format!("`{name}` has no `start`");
        let at = fields.modifier.at;
        let error = Diagnostic::error(Code::MissingField, message, at, "without one it never starts")
            .help("add `start: 0`");
        let error = fields.modifier.adds(error, "start: 0");
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
            "write -1 where it never ends".into(),
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
            let message = format!("`{name}` ends where it starts, or before");
            let label = format!("ends at {}", end.text);
            findings.push(
                Diagnostic::error(Code::FieldRange, message, at, label)
                    .and_at(from_at, "starts here")
                    .help("let it end later; SparseML divides by the length of this window"),
            );
        }
    }
    Timed { fields, start, end }
}

/// The length of the run: the latest start or end of all modifiers, in whole epochs.
pub(super) fn length(timed: &[Timed], context: &Context, findings: &mut Findings) -> Option<Epochs> {
    const MOST: f64 = 1e6;
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
            range(modifier, findings);
            declared = declared.max_by_first(ends);
        }
    }
    let Some((count, at)) = longest.filter(|(count, _)| *count > 0.0) else {
        let families: Vec<Family> = timed.iter().map(|t| t.fields.known.family).collect();
        let once = |f: &Family| matches!(f, Family::Quantization | Family::Logging | Family::LayerPruning);
        if families.contains(&Family::Quantization) && families.iter().all(once) {
            // Nothing is trained: the model is quantized at once.
            return Some(Epochs { count: 0, at: context.first });
        }
        if !findings.has_errors() {
            findings.push(
                Diagnostic::error(
                    Code::MissingField,
                    "nothing says how long the recipe trains",
                    context.first,
                    "no modifier ends",
                )
                .help("add `- !EpochRangeModifier` with `start_epoch: 0` and `end_epoch: 30`"),
            );
        }
        return None;
    };
    if count > MOST {
        findings.push(
            Diagnostic::error(Code::FieldRange, format!("more than {MOST} epochs"), at, "too long")
                .help("write the epoch that is meant"),
        );
        return None;
    }
    if let Some((end, declared_at)) = declared.filter(|(end, _)| *end < count) {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                format!("the run lasts {count} epochs, not {end}: an EpochRangeModifier never shortens it"),
                declared_at,
                format!("says {end}"),
            )
            .and_at(at, "this goes on longer")
            .help("SparseML takes the latest end of all modifiers, in whole epochs; so is it read here"),
        );
    }
    Some(Epochs { count: count as u64, at })
}

/// What starts when the run is over never starts.
pub(super) fn starts_in_time(modifier: &mut Timed, length: Epochs, findings: &mut Findings) {
    let start = modifier.from();
    if start > 0.0 && start >= length.count as f64 && !modifier.fields.broken {
        modifier.fields.broken = true;
        findings.push(
            Diagnostic::error(
                Code::FieldRange,
                format!("this starts at epoch {start}, when the run is over"),
                modifier.start_at(),
                "it never starts",
            )
            .and_at(length.at, format!("the run lasts {} epochs", length.count))
            .help("let it start earlier, or make the run longer with an EpochRangeModifier"),
        );
    }
}

trait Later {
    fn max_by_first(self, other: Self) -> Self;
}

impl Later for Option<(f64, Span)> {
    fn max_by_first(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(if b.0 > a.0 { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

fn range(modifier: &Timed, findings: &mut Findings) {
    if modifier.from() > 0.0 {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "an EpochRangeModifier that starts later skips nothing",
                modifier.start_at(),
                "no effect",
            )
            .help("write `start_epoch: 0`; training starts at 0 whatever stands here")
            .fix(modifier.fields.value_place("start_epoch"), "0"),
        );
    }
}
