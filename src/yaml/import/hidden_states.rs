//! Translates distillation of hidden states.

use crate::diag::{Code, Findings, Span, counted};
use crate::yaml::recipe::numbers::Conversion;

use super::distill::write;
use super::draft::{Draft, Epochs, Line};
use super::select::Select;
use super::time::Timed;

/// Translates a `PerLayerDistillationModifier`, whose mean squared error is added to the task loss.
pub(super) fn per_layer(
    draft: &mut Draft,
    timed: &mut Timed,
    select: &Select,
    length: Epochs,
    findings: &mut Findings,
) {
    let f = &mut timed.fields;
    let gain = f.number_in("gain", Conversion::Kept, |n| n > 0.0, "above 0", findings);
    let epsilon = f.number_in("epsilon", Conversion::Kept, |n| n > 0.0, "above 0", findings);
    let normalize = f.flag("normalize", true, findings);
    f.dropped(
        "update_frequency",
        "SparseML compares hidden states at every step whatever its value",
        findings,
    );
    f.dropped("project_features", "hidden states of different widths are an error before the run", findings);
    let student = f.texts("student_layer_names", findings).unwrap_or_default();
    let teacher = f.texts("teacher_layer_names", findings).unwrap_or_default();
    if f.broken {
        return;
    }
    // SparseML uses a single list for both models.
    let (own, others) = if student.is_empty() { (&teacher, &student) } else { (&student, &teacher) };
    if own.is_empty() {
        let at = f.modifier.at;
        f.refuse(
            findings,
            Code::FieldRefused,
            at,
            "without names, SparseML compares the outputs of all linear layers".into(),
            "names no layer".into(),
            "name them: `student_layer_names: [bert.encoder.layer.0, …]`".into(),
        );
        return;
    }
    for (name, at) in own.iter().filter(|(name, _)| !select.model.has_module(name)) {
        f.refuse(
            findings,
            Code::MatchesNothing,
            *at,
            format!("{} has no module `{name}`", select.model.label()),
            "matches nothing".into(),
            select.model.missing(name, select.model.nearest_module(name)),
        );
    }
    if f.broken {
        return;
    }
    if !others.is_empty() && others.len() != own.len() {
        let at = f.place("teacher_layer_names");
        f.refuse(
            findings,
            Code::FieldRefused,
            at,
            format!(
                "{} of the teacher for {} of the student",
                counted(others.len(), "layer", "layers"),
                own.len()
            ),
            "the numbers must be equal".into(),
            "name one layer of the teacher for each of the student".into(),
        );
        return;
    }
    let mut line = Line::of(format!("hidden: states(\"{}\"", pattern(own)), f.place("student_layer_names"));
    if !others.is_empty() && names(others) != names(own) {
        let text = format!(", teacher: \"{}\"", pattern(others));
        line = line.and(text, f.place("teacher_layer_names"));
    }
    if let Some(gain) = gain {
        line = line.and(format!(", gain: {}", gain.text), f.place("gain"));
    }
    if !normalize {
        line = line.and(", normalize: false", f.place("normalize"));
    }
    if let Some(epsilon) = epsilon {
        line = line.and(format!(", epsilon: {}", epsilon.text), f.place("epsilon"));
    }
    let at = f.modifier.at;
    let assumed = |text: &str| Line { parts: vec![(text.to_owned(), at)], fields: Vec::new() };
    let body = vec![assumed("hardness: 0.0"), assumed("temperature: 1.0"), line.and(")", at)];
    write(draft, timed, body, length);
}

fn names(list: &[(String, Span)]) -> Vec<&str> {
    list.iter().map(|(name, _)| name.as_str()).collect()
}

/// Writes several names as one pattern, in their order.
fn pattern(list: &[(String, Span)]) -> String {
    match names(list).as_slice() {
        [one] => (*one).to_owned(),
        several => format!("{{{}}}", several.join(",")),
    }
}
