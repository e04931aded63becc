//! Translates distillation of a model's outputs.

use crate::diag::{Code, Diagnostic, Findings};
use crate::yaml::recipe::Datum;
use crate::yaml::recipe::numbers::Conversion;

use super::draft::{Draft, Epochs, Line, Order};
use super::prune::percent;
use super::time::Timed;

/// Translates a `DistillationModifier`.
pub(super) fn distillation(draft: &mut Draft, timed: &mut Timed, length: Epochs, findings: &mut Findings) {
    let f = &mut timed.fields;
    let hardness =
        f.number_in("hardness", Conversion::Kept, |n| (0.0..=1.0).contains(&n), "from 0 to 1", findings);
    let temperature = f.number_in("temperature", Conversion::Kept, |n| n > 0.0, "above 0", findings);
    f.dropped(
        "update_frequency",
        "SparseML computes the distillation loss at every step whatever its value",
        findings,
    );
    f.dropped("teacher_input_keys", "teacher and student have the same inputs", findings);
    let keys = f.texts("distill_output_keys", findings).filter(|keys| !keys.is_empty());
    if f.broken {
        return;
    }
    let mut body = vec![
        Line::of(
            format!("hardness: {}", hardness.map_or("0.5".into(), |n| decimal(&n.text))),
            f.place("hardness"),
        ),
        Line::of(
            format!("temperature: {}", temperature.map_or("2.0".into(), |n| decimal(&n.text))),
            f.place("temperature"),
        ),
    ];
    if let Some(keys) = keys {
        let mut line = Line::of("match: [", f.place("distill_output_keys"));
        for (i, (key, at)) in keys.iter().enumerate() {
            if !is_word(key) {
                timed.fields.refuse(
                    findings,
                    Code::FieldRefused,
                    *at,
                    format!("`{key}` cannot be the name of an output"),
                    "not an identifier".into(),
                    "as `start_logits`, `end_logits` or `logits`".into(),
                );
                return;
            }
            line = line.and(format!("{}{key}", if i > 0 { ", " } else { "" }), *at);
        }
        body.push(line.and("]", f.place("distill_output_keys")));
    }
    write(draft, timed, body, length);
}

/// Translates an `OutputDistillationModifier`, which scales the task loss and the distillation loss separately.
pub(super) fn output_distillation(
    draft: &mut Draft,
    timed: &mut Timed,
    length: Epochs,
    findings: &mut Findings,
) {
    let f = &mut timed.fields;
    let scale = |n: f64| n >= 0.0;
    let original =
        f.number_in("orig_scale", Conversion::Kept, scale, "0 or above", findings).map_or(1.0, |n| n.value);
    let teacher = f
        .number_in("distill_scale", Conversion::Kept, |n| n > 0.0, "above 0", findings)
        .map_or(1.0, |n| n.value);
    f.choice("comparison", &["kl_divergence"], "kl_divergence", findings);
    for field in ["projection", "projection_args", "projection_from", "transforms_args", "comparison_args"] {
        if f.value(field).is_some() {
            let at = f.place(field);
            f.refuse(
                findings,
                Code::FieldRefused,
                at,
                format!("`{field}` has no counterpart"),
                "outputs are compared without a projection".into(),
                "remove it".into(),
            );
        }
    }
    if let Some(value) = f.value("transforms").cloned() {
        let usual = matches!(value.datum(), Datum::Text(t) if t == "softmax")
            || matches!(value.datum(), Datum::List(items) if items.iter().all(|i| matches!(i.datum(), Datum::Text(t) if t == "softmax" || t == "log_softmax")));
        if !usual {
            f.refuse(
                findings,
                Code::FieldRefused,
                value.span,
                "the distillation loss compares softmax probabilities only".into(),
                "another transform".into(),
                "remove it, or write `softmax`".into(),
            );
        }
    }
    let targets = f.texts("targets", findings).unwrap_or_default();
    let mut keys: Vec<(&str, crate::diag::Span)> = Vec::new();
    for (target, at) in &targets {
        let found: &[&str] = if target.contains("qa_outputs") {
            &["start_logits", "end_logits"]
        } else if ["classifier", "cls", "lm_head", "logits"].iter().any(|w| target.contains(w)) {
            &["logits"]
        } else {
            f.refuse(
                findings,
                Code::FieldRefused,
                *at,
                format!("only the outputs of the model can be distilled, not `{target}`"),
                "not an output of the model".into(),
                "as `re:.*qa_outputs` or `re:.*classifier`".into(),
            );
            continue;
        };
        keys.extend(found.iter().map(|k| (*k, *at)));
    }
    if f.broken {
        return;
    }
    let share = crate::yaml::recipe::Number::computed(teacher / (original + teacher), false);
    if (original + teacher - 1.0).abs() > 1e-9 {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                format!(
                    "SparseML scales the task loss by {original} and the distillation loss by {teacher}; here the weights sum to 1"
                ),
                f.place("distill_scale"),
                format!("imported as a hardness of {}", percent(&share)),
            )
            .help("the ratio is kept; AdamW is nearly invariant to the scale of the whole loss"),
        );
    }
    let mut line = Line::of("match: [", f.place("targets"));
    for (i, (key, at)) in keys.iter().enumerate() {
        line = line.and(format!("{}{key}", if i > 0 { ", " } else { "" }), *at);
    }
    let body = vec![
        Line::of(format!("hardness: {}", share.text), f.place("distill_scale")),
        Line::of("temperature: 1.0", f.modifier.at),
        line.and("]", f.place("targets")),
    ];
    write(draft, timed, body, length);
}

/// Adds a `distill` statement with the lines `body`, or adds these to the statement over the same window, because
/// SparseML's two modifiers for outputs and hidden states are one statement here. Assumed lines, which have no
/// fields, give way to those of the recipe.
pub(super) fn write(draft: &mut Draft, timed: &Timed, body: Vec<Line>, length: Epochs) {
    let over = timed.over(length);
    let assumed = |line: &Line| line.fields.is_empty();
    if let Some(earlier) = draft.statements.iter_mut().find(|s| s.order == Order::Distill)
        && earlier.head.parts.get(1).map(|p| &p.0) == over.as_ref()
        && let Some(lines) = &mut earlier.body
        && (lines.iter().any(assumed) || body.iter().any(assumed))
    {
        lines.retain(|line| !assumed(line));
        let own = body.into_iter().filter(|line| !assumed(line));
        let (hidden, outputs): (Vec<Line>, Vec<Line>) =
            lines.drain(..).chain(own).partition(|l| l.parts[0].0.starts_with("hidden"));
        lines.extend(outputs.into_iter().chain(hidden));
        earlier.head.fields.extend([timed.fields.modifier.at, timed.start_at(), timed.end_at()]);
        return;
    }
    let mut head = Line::of("distill from teacher", timed.fields.modifier.at);
    head.fields.extend([timed.start_at(), timed.end_at()]);
    if let Some(over) = over {
        head = head.and(over, timed.start_at().to(timed.end_at()));
    }
    draft.add(Order::Distill, head, Some(body));
}

/// A decimal with a point, `1.0` for `1`, as in the paper's recipes.
fn decimal(text: &str) -> String {
    let text = &if text.contains('e') {
        text.parse().map_or(text.to_owned(), |n: f64| n.to_string())
    } else {
        text.to_owned()
    };
    if text.contains('.') { text.clone() } else { format!("{text}.0") }
}

/// Whether a text is an identifier.
fn is_word(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
