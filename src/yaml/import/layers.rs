//! Layers that are dropped, parameters that are not trained, weight decay.

use crate::diag::{Code, Diagnostic, Findings};
use crate::yaml::recipe::numbers::Conversion;
use crate::yaml::recipe::registry::Family;

use super::draft::{Draft, Epochs, Line, Order};
use super::select::Select;
use super::time::Timed;

/// `LayerPruningModifier`: the layers of the encoder that go, of all such modifiers together.
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
                "layers are dropped before training, for good".into(),
                "at another time".into(),
                format!("remove `{field}`; to drop them later, use two stages in the language"),
            );
        }
        f.dropped("update_frequency", "SparseML does not ask for it", findings);
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
                    format!("`{name}` is no layer of the encoder"),
                    "only whole layers can go".into(),
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

/// `SetWeightDecayModifier`.
pub(super) fn weight_decay(draft: &mut Draft, timed: &mut Timed, findings: &mut Findings) {
    let later = (timed.from() > 0.0 || timed.end.is_some()).then(|| timed.start_at());
    let f = &mut timed.fields;
    if let Some(at) = later {
        let message = "weight decay is the same over a whole stage";
        let error = Diagnostic::error(Code::FieldRefused, message, at, "begins later, or ends")
            .help("write `start_epoch: -1`; to change it later, use two stages in the language")
            .fix(f.value_place("start_epoch"), "-1");
        f.report(findings, error);
    }
    f.dropped("constant_logging", "it is in the run's log", findings);
    if let Some(groups) = f.value("param_groups") {
        groups.noted();
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "the optimizer's groups have no numbers here",
                f.place("param_groups"),
                "set for all but biases and normalisations",
            )
            .help("AdamW leaves biases and normalisations out, as the trainer does"),
        );
    }
    let decay = f.number_in("weight_decay", Conversion::Kept, |n| n >= 0.0, "0 or above", findings);
    let (Some(decay), false) = (decay, f.broken) else { return };
    let text = if decay.value == 0.0 { "0.0" } else { &decay.text };
    let line = Line::of(format!("weight_decay: {text}"), f.place("weight_decay"));
    draft.add(Order::Train, Line::of("train", f.modifier.at), Some(vec![line]));
}

/// A recipe without a `SetWeightDecayModifier` trains with the trainer's own weight decay.
pub(super) fn no_weight_decay(draft: &mut Draft, findings: &mut Findings) {
    if draft.length.count == 0 || draft.statements.iter().any(|s| s.order == Order::Train) {
        return;
    }
    findings.push(
        Diagnostic::advice(
            Code::Assumed,
            "no modifier sets the weight decay: in SparseML the trainer's own is used",
            draft.origin,
            "0.0 is assumed, Hugging Face's default",
        )
        .help("add a SetWeightDecayModifier, or edit `weight_decay` in the imported recipe"),
    );
    let line = Line { parts: vec![("weight_decay: 0.0".to_owned(), draft.origin)], fields: Vec::new() };
    let head = Line { parts: vec![("train".to_owned(), draft.origin)], fields: Vec::new() };
    draft.add(Order::Train, head, Some(vec![line]));
}

/// `TrainableParamsModifier`.
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
            .help("nothing needs to be done"),
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
