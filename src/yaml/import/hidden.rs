//! Learning from the states inside a teacher.

use crate::diag::{Code, Findings, Span};
use crate::yaml::recipe::numbers::Conversion;

use super::distill::write;
use super::draft::{Draft, Epochs, Line};
use super::select::Select;
use super::time::Timed;

/// `PerLayerDistillationModifier`: its error is added to the task's loss.
pub(super) fn states(
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
    f.dropped("update_frequency", "SparseML matches the states at every step whatever it says", findings);
    f.dropped("project_features", "states of unequal width are refused before the run", findings);
    let student = f.texts("student_layer_names", findings).unwrap_or_default();
    let teacher = f.texts("teacher_layer_names", findings).unwrap_or_default();
    if f.broken {
        return;
    }
    // SparseML takes the one list for both.
    let (own, others) = if student.is_empty() { (&teacher, &student) } else { (&student, &teacher) };
    if own.is_empty() {
        let at = f.modifier.at;
        f.refuse(
            findings,
            Code::FieldRefused,
            at,
            "SparseML would match every linear layer".into(),
            "no layer is named".into(),
            "name them: `student_layer_names: [bert.encoder.layer.0, …]`".into(),
        );
        return;
    }
    for (name, at) in own.iter().filter(|(name, _)| !select.has_module(name)) {
        f.refuse(
            findings,
            Code::MatchesNothing,
            *at,
            format!("{} has no module `{name}`", select.model()),
            "matches nothing".into(),
            select.missing(name, select.nearest_module(name)),
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
            format!("{} of the teacher's layers for {} of the student's", others.len(), own.len()),
            "as many are needed".into(),
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

/// One pattern for several names, in their order.
fn pattern(list: &[(String, Span)]) -> String {
    match names(list).as_slice() {
        [one] => (*one).to_owned(),
        several => format!("{{{}}}", several.join(",")),
    }
}
