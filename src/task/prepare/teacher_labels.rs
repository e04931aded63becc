//! Matches the labels of a teacher's classifier with the student's.

use std::collections::BTreeSet;

use crate::params::BertConfig;
use crate::task::model::BertModel;
use crate::task::parameters;

use super::FittedTeacher;

/// Reorders the rows of the teacher's classifier to the student's labels, `own`. `classifier` is BERT's name of its last
/// layer.
///
/// # Errors
/// A message of one sentence if the labels differ.
pub(super) fn fit<M: BertModel>(
    teacher: M,
    config: &BertConfig,
    own: &[String],
    classifier: &str,
) -> Result<FittedTeacher<M>, String> {
    let shown = own.join(", ");
    let labels = match config.labels() {
        Some(labels) if same(&labels, own) || !are_numbers(own) => labels,
        named => {
            let why = match named {
                None => "the teacher's labels are placeholders".to_owned(),
                Some(names) => {
                    format!("the student's labels are numbers, the teacher's {}", names.join(", "))
                }
            };
            let note = format!("{why}: its outputs are taken to be in the student's order, {shown}");
            return Ok(FittedTeacher { model: teacher, notes: vec![note] });
        }
    };
    if !same(&labels, own) {
        return Err(format!("has the labels {}, the student {shown}", labels.join(", ")));
    }
    let place = |label: &String| labels.iter().position(|l| l.eq_ignore_ascii_case(label));
    let order: Vec<usize> = own.iter().filter_map(place).collect();
    // Only the last layer has a row for each label, not RoBERTa's `classifier.dense`.
    let last = ["weight", "bias"].map(|part| config.family().name(&format!("{classifier}.{part}")));
    let mut values = parameters::read(&teacher, |name| last.iter().any(|l| l == name));
    for rows in values.values_mut() {
        let width = rows.len() / order.len().max(1);
        *rows = order.iter().flat_map(|i| rows[i * width..(i + 1) * width].to_vec()).collect();
    }
    let reordered = order.iter().enumerate().any(|(i, place)| i != *place);
    let note = reordered
        .then(|| format!("the teacher's outputs are matched by name: {} become {shown}", labels.join(", ")));
    Ok(FittedTeacher { model: parameters::write(teacher, values), notes: note.into_iter().collect() })
}

/// Whether labels are `0`, `1` … or the placeholders `LABEL_0`, `LABEL_1` ….
fn are_numbers(labels: &[String]) -> bool {
    let number = |label: &str, i: usize| label.strip_prefix("LABEL_").unwrap_or(label).parse() == Ok(i);
    labels.iter().enumerate().all(|(i, label)| number(label, i))
}

/// Whether two lists have the same names in any order, ignoring case.
fn same(a: &[String], b: &[String]) -> bool {
    let set = |names: &[String]| names.iter().map(|n| n.to_lowercase()).collect::<BTreeSet<_>>();
    a.len() == b.len() && set(a) == set(b)
}
