//! Translates dropped layers, frozen parameters and weight decay.

use crate::diag::{Code, Diagnostic, Findings};
use crate::yaml::recipe::numbers::Conversion;
use crate::yaml::recipe::registry::Family;

use super::draft::{Draft, Epochs, Line, Order};
use super::select::Select;
use super::time::Timed;

/// Translates all `LayerPruningModifier`s into one `drop layers`. Returns the numbers of the dropped layers.
pub(super) fn dropped(draft: &mut Draft, timed: &mut [Timed], findings: &mut Findings) -> Vec<usize> {
    let mut all: Vec<usize> = Vec::new();
    let mut line: Option<Line> = None;
    for modifier in timed.iter_mut().filter(|t| t.fields.known.family == Family::LayerPruning) {
        let later = [
            (modifier.from() > 0.0, "start_epoch", modifier.start_at()),
            (modifier.end.is_some(), "end_epoch", modifier.end_at()),
        ];
        let f = &mut modifier.fields;
        for (_, field, at) in later.into_iter().filter(|(given, ..)| *given) {
            f.refuse(
                findings,
                Code::FieldRefused,
                at,
                "layers are dropped once, before training".into(),
                "another time".into(),
                format!("remove `{field}`; to drop them later, use two stages in an `.obert` recipe"),
            );
        }
        f.dropped("update_frequency", "SparseML does not use it", findings);
        for (name, at) in f.texts("layers", findings).unwrap_or_default() {
            let number = name.rsplit_once(".layer.").and_then(|(_, n)| n.parse::<usize>().ok());
            match number {
                Some(layer) if !name.starts_with("re:") && !all.contains(&layer) => {
                    let text = if all.is_empty() { layer.to_string() } else { format!(", {layer}") };
                    line =
                        Some(line.unwrap_or_else(|| Line::of("drop layers [", f.modifier.at)).and(text, at));
                    all.push(layer);
                }
                Some(_) if !name.starts_with("re:") => {}
                _ => f.refuse(
                    findings,
                    Code::FieldRefused,
                    at,
                    format!("`{name}` is not a layer of the encoder"),
                    "only whole layers can be dropped".into(),
                    "name it exactly, as `bert.encoder.layer.6`".into(),
                ),
            }
        }
    }
    if let Some(line) = line {
        let at = line.parts[0].1;
        draft.add(Order::Layers, line.and("]", at), None);
    }
    all
}

/// Translates a `SetWeightDecayModifier`.
pub(super) fn weight_decay(draft: &mut Draft, timed: &mut Timed, findings: &mut Findings) {
    let later = (timed.from() > 0.0 || timed.end.is_some()).then(|| timed.start_at());
    let f = &mut timed.fields;
    if let Some(at) = later {
        let message = "weight decay is the same over a whole stage";
        let error = Diagnostic::error(Code::FieldRefused, message, at, "starts later or ends earlier")
            .help("write `start_epoch: -1`; to change it later, use two stages in an `.obert` recipe")
            .fix(f.value_place("start_epoch"), "-1");
        f.report(findings, error);
    }
    f.dropped("constant_logging", "a run logs its settings", findings);
    if let Some(groups) = f.value("param_groups") {
        groups.noted();
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "the optimizer's parameter groups have no numbers here",
                f.place("param_groups"),
                "set for all parameters but biases and LayerNorm weights",
            )
            .help("biases and LayerNorm weights have no weight decay, as in Hugging Face's trainer"),
        );
    }
    let decay = f.number_in("weight_decay", Conversion::Kept, |n| n >= 0.0, "0 or above", findings);
    let (Some(decay), false) = (decay, f.broken) else { return };
    let text = if decay.value == 0.0 { "0.0" } else { &decay.text };
    let line = Line::of(format!("weight_decay: {text}"), f.place("weight_decay"));
    draft.add(Order::Train, Line::of("train", f.modifier.at), Some(vec![line]));
}

/// Writes the trainer's default weight decay for a recipe without a `SetWeightDecayModifier`.
pub(super) fn default_weight_decay(draft: &mut Draft, findings: &mut Findings) {
    if draft.length.count == 0 || draft.statements.iter().any(|s| s.order == Order::Train) {
        return;
    }
    findings.push(
        Diagnostic::advice(
            Code::Assumed,
            "no modifier sets the weight decay, so that SparseML trains with the trainer's",
            draft.origin,
            "0.0 is assumed, Hugging Face's default",
        )
        .help("add a SetWeightDecayModifier, or edit `weight_decay` in the imported recipe"),
    );
    let line = Line { parts: vec![("weight_decay: 0.0".to_owned(), draft.origin)], fields: Vec::new() };
    let head = Line { parts: vec![("train".to_owned(), draft.origin)], fields: Vec::new() };
    draft.add(Order::Train, head, Some(vec![line]));
}

/// Translates a `TrainableParamsModifier` with `trainable: false` into `freeze`.
pub(super) fn trainable(
    draft: &mut Draft,
    timed: &mut Timed,
    select: &Select,
    length: Epochs,
    findings: &mut Findings,
) {
    let trainable = timed.fields.flag("trainable", true, findings);
    timed.fields.flag("params_strict", true, findings);
    timed.fields.dropped("params_strict", "a pattern that matches nothing is always an error here", findings);
    if trainable {
        timed.fields.noted();
        findings.push(
            Diagnostic::advice(
                Code::Dropped,
                "every parameter is trained unless it is frozen",
                timed.fields.place("trainable"),
                "left out",
            )
            .help("no change is needed"),
        );
        return;
    }
    let selected = select.of("params", &mut timed.fields, false, draft, findings);
    let (Some(selected), false) = (selected, timed.fields.broken) else { return };
    let mut head = Line::of("freeze ", timed.fields.modifier.at)
        .and(selected.text.clone(), timed.fields.place("params"));
    head.fields.extend([timed.start_at(), timed.end_at()]);
    if let Some(over) = timed.over(length) {
        head = head.and(over, timed.start_at().to(timed.end_at()));
    }
    draft.add_for(Order::Freeze, head, None, selected.names);
}
